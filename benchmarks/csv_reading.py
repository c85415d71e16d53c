"""Reading gzipped CSV at 1 million and, with --large, 10 million records.

    python benchmarks/csv_reading.py [--large] [--repeat 3]

Prints wall time without imports, records per second and peak memory of: reading all columns with all checks, and
pyarrow's own CSV reader over the same files, told the types, with strings as dictionaries ("coded") and as they are
("plain"). All interleaved, each in a process of its own and on one core, for pyarrow unzips in a second thread
otherwise. Counting the records of the same files comes last. Trust the ratios, which come from one run, and not the
seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from insights import COLUMNS, Files, peak_bytes, write_sales

CASES = ("read", "coded", "plain", "count")


def write_csv(folder: Path, records: int) -> None:
    """The sales of the benchmark of insights as CSV, as UNLOAD writes them: gzipped parts without header."""
    import pyarrow.csv as pv
    import pyarrow.parquet as pq
    from isal import igzip

    write_sales(folder, records)
    for file in sorted(folder.glob("*.parquet")):
        with igzip.open(file.with_suffix(".csv.gz"), "wb") as stream:
            pv.write_csv(pq.read_table(file), stream, pv.WriteOptions(include_header=False, quoting_style="needed"))
        file.unlink()


def parts_of(files: list[Path]) -> Any:
    from nightcast.datasource.parts import Part

    return [Part(str(file), -1, file.stat().st_size, "CSV") for file in files]


def run_read(files: list[Path]) -> None:
    from nightcast.datasource.counting import counted_parts
    from nightcast.datasource.parts import Datasource, read_batches
    from nightcast.datasource.schema import Schema

    schema = Schema.from_columns(COLUMNS).with_overrides({"targetAttributeName": "totalsold"})
    datasource = Datasource(schema, counted_parts(parts_of(files), Files()))
    started, records = time.perf_counter(), 0
    for numbered in datasource.numbered():
        for batch in read_batches(numbered, Files()):
            records += len(batch) - len(batch.rejects)
    report(started, records)


def run_pyarrow(files: list[Path], *, coded: bool) -> None:
    import pyarrow as pa
    import pyarrow.csv as pv

    from nightcast.datasource.schema import AttributeType, Schema

    attributes = Schema.from_columns(COLUMNS).attributes
    strings = pa.dictionary(pa.int32(), pa.string()) if coded else pa.string()
    types = {one.name: pa.float64() if one.type is AttributeType.NUMERIC else strings for one in attributes}
    read = pv.ReadOptions(use_threads=False, block_size=8 << 20, column_names=list(types))
    convert = pv.ConvertOptions(column_types=types, strings_can_be_null=True)
    started, records = time.perf_counter(), 0
    for file in files:
        with pv.open_csv(str(file), read_options=read, convert_options=convert) as reader:
            records += sum(batch.num_rows for batch in reader)
    report(started, records)


def run_count(files: list[Path]) -> None:
    from nightcast.datasource.counting import counted_parts

    started = time.perf_counter()
    report(started, sum(part.records for part in counted_parts(parts_of(files), Files())))


def report(started: float, records: int) -> None:
    print(json.dumps({"seconds": time.perf_counter() - started, "peak": peak_bytes(), "records": records}))


def measured(case: str, folder: Path) -> dict[str, float]:
    """One case in a process of its own, with one thread."""
    done = subprocess.run(
        [sys.executable, __file__, "--case", case, "--folder", str(folder)],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(records: int, repeat: int) -> None:
    with tempfile.TemporaryDirectory(prefix="nightcast-benchmark-") as name:
        folder = Path(name)
        write_csv(folder, records)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"\n{records:,} records, {len(COLUMNS)} columns, {size / 1e6:.0f} MB, {len(os.listdir(folder))} parts")
        runs: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
        for _ in range(repeat):
            for case in CASES:
                runs[case].append(measured(case, folder))
    if {run["records"] for case in CASES for run in runs[case]} != {records}:
        raise SystemExit("the readers do not agree on the number of records")
    seconds = {case: statistics.median(run["seconds"] for run in runs[case]) for case in CASES}
    for case in CASES:
        peak = max(run["peak"] for run in runs[case]) / 1e6
        print(f"  {case:10} {seconds[case]:8.3f} s {records / seconds[case]:14,.0f} records/s {peak:6.0f} MB peak")
    print(f"  read / pyarrow, coded {seconds['read'] / seconds['coded']:6.2f}")
    print(f"  read / pyarrow, plain {seconds['read'] / seconds['plain']:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of reading CSV.")
    parser.add_argument("--large", action="store_true", help="10 million records too (about 500 MB of disk)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.case:
        for records in (1_000_000, *([10_000_000] if options.large else [])):
            compare(records, options.repeat)
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    files = sorted(options.folder.glob("*.csv.gz"))
    if options.case == "read":
        run_read(files)
    elif options.case == "count":
        run_count(files)
    else:
        run_pyarrow(files, coded=options.case == "coded")


if __name__ == "__main__":
    main()
