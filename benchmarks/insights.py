"""Insights at 30 thousand, 1 million and, with --large, 10 million Parquet records.

    python benchmarks/insights.py [--large] [--repeat 3]

Prints, for each size, wall time without imports, records per second and peak memory of: insights, mere decoding of the
same columns by pyarrow, and DuckDB's SUMMARIZE over the same files, interleaved, each in a process of its own and with
one thread; and insights by two processes, whose start is left out as imports are. Then each ratio that is promised,
beside its limit. Trust the ratios, which come from one run, and not the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PART_RECORDS = 500_000
CASES = ("insights", "decode", "summarize", "two")
COLUMNS = [
    ("saleid", "integer"), ("day", "date"), ("category", "character(20)"), ("region", "character(8)"),
    ("store", "character varying(16)"), ("product", "character varying(16)"), ("seller", "character(8)"),
    ("price", "numeric(8,2)"), ("quantity", "integer"), ("daystoevent", "integer"), ("seats", "integer"),
    ("weight", "double precision"), ("note", "character varying(200)"), ("promo", "boolean"),
    ("totalsold", "double precision"),
]  # fmt: skip


class Files:
    """Gives local files as they are."""

    @contextlib.contextmanager
    def local_copy(self, uri: str) -> Iterator[Path]:
        yield Path(uri)


def write_sales(folder: Path, records: int) -> None:
    """A wide table of generated sales: 15 columns, 2 % missing, as parts of at most 500,000 records."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    for part, first in enumerate(range(0, records, PART_RECORDS)):
        size = min(PART_RECORDS, records - first)
        random = np.random.default_rng([records, part])
        words = np.array([f"word{n}" for n in range(400)])
        notes = np.array([" ".join(random.choice(words, 4)) for _ in range(5000)])
        price = np.round(random.gamma(3.0, 20.0, size), 2)
        quantity = random.poisson(3.0, size)
        lost = random.random((3, size)) < 0.02

        def coded(prefix: str, count: int, random: np.random.Generator = random, size: int = size) -> pa.Array:
            names = pa.array([f"{prefix}{n}" for n in range(count)])
            chosen = np.minimum(random.zipf(1.3, size) - 1, count - 1).astype(np.int32)
            return pa.DictionaryArray.from_arrays(pa.array(chosen), names).cast(pa.string())

        columns = {
            "saleid": pa.array(np.arange(first, first + size, dtype=np.int64)),
            "day": pa.array((14000 + random.integers(0, 366, size)).astype(np.int32)).cast(pa.date32()),
            "category": coded("category", 11),
            "region": coded("r", 50),
            "store": coded("store", 200),
            "product": coded("product", 1000),
            "seller": coded("s", 1000),
            "price": pa.array(np.where(lost[0], np.nan, price), from_pandas=True)
            .cast(pa.decimal128(18, 2), safe=False),
            "quantity": pa.array(quantity.astype(np.int32), mask=lost[1]),
            "daystoevent": pa.array(random.integers(0, 180, size).astype(np.int32)),
            "seats": pa.array(random.integers(100, 90_000, size).astype(np.int32)),
            "weight": pa.array(random.normal(0.0, 1.0, size), mask=lost[2]),
            "note": pa.array(notes[random.integers(0, len(notes), size)]),
            "promo": pa.array(random.random(size) < 0.2),
            "totalsold": pa.array(price * quantity * 0.1 + random.normal(20.0, 3.0, size)),
        }  # fmt: skip
        pq.write_table(pa.table(columns), folder / f"{part:04d}_part_00.parquet", compression="snappy")


def run_two(files: list[Path]) -> int:
    from nightcast.compute import process_pool

    with process_pool(2) as mapper:
        list(mapper(_imported, range(2)))
        found = run_insights(files, mapper, workers=lambda: sum(mapper(_worker_peak, range(2))))
    return found


def _imported(_: int) -> int:
    """Makes a worker import what it needs; slow enough that each of two gets one."""
    import nightcast.datasource.insights

    time.sleep(1)
    return len(nightcast.datasource.insights.__all__)


def _worker_peak(_: int) -> int:
    time.sleep(0.2)
    return peak_bytes()


def run_insights(files: list[Path], mapper: Any = map, workers: Callable[[], int] = int) -> int:
    import pyarrow.parquet as pq

    from nightcast.compute import mapper_for
    from nightcast.datasource.insights import compute_insights
    from nightcast.datasource.parts import Datasource, Part
    from nightcast.datasource.schema import Schema

    # Makes the process what an operator or command makes it.
    with mapper_for(1, 0):
        pass
    schema = Schema.from_columns(COLUMNS).with_overrides({"targetAttributeName": "totalsold", "rowId": "saleid"})
    started = time.perf_counter()
    parts = tuple(Part(str(file), pq.read_metadata(file).num_rows, file.stat().st_size, "PARQUET") for file in files)
    found = compute_insights(Datasource(schema, parts), Files(), mapper)
    json_bytes = len(found.to_json())
    seconds = time.perf_counter() - started
    report(seconds, workers(), json_bytes=json_bytes)
    return found.records


def run_decode(files: list[Path]) -> int:
    import pyarrow.parquet as pq

    strings = ["category", "region", "store", "product", "seller", "note"]
    started, records = time.perf_counter(), 0
    for file in files:
        with pq.ParquetFile(file, read_dictionary=strings) as opened:
            for batch in opened.iter_batches(batch_size=131_072, use_threads=False):
                records += batch.num_rows
    report(time.perf_counter() - started)
    return records


def run_summarize(files: list[Path]) -> int:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads TO 1")
    started = time.perf_counter()
    rows = connection.execute(f"SUMMARIZE SELECT * FROM read_parquet({[str(file) for file in files]!r})").fetchall()
    report(time.perf_counter() - started)
    return len(rows)


def report(seconds: float, workers: int = 0, **more: int) -> None:
    print(json.dumps({"seconds": seconds, "peak": peak_bytes() + workers, **more}))


def peak_bytes() -> int:
    """Highest resident memory of this process alone (getrusage would begin with that of the parent)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def measured(case: str, folder: Path) -> dict[str, float]:
    """One case in a process of its own, with one thread."""
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--case", case, "--folder", str(folder)],
        env=os.environ | threads, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


@dataclass(frozen=True)
class Figures:
    """Medians of the seconds of each case, and the highest peaks in bytes."""

    records: int
    seconds: dict[str, float]
    peak: dict[str, float]


def compare(records: int, repeat: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="nightcast-benchmark-") as name:
        folder = Path(name)
        write_sales(folder, records)
        size = sum(file.stat().st_size for file in folder.iterdir())
        parts = len(list(folder.iterdir()))
        print(f"\n{records:,} records, {len(COLUMNS)} columns, {size / 1e6:.0f} MB, {parts} parts")
        runs: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
        for _ in range(repeat):
            for case in CASES:
                runs[case].append(measured(case, folder))
    seconds = {case: statistics.median(run["seconds"] for run in runs[case]) for case in CASES}
    peak = {case: max(run["peak"] for run in runs[case]) for case in CASES}
    for case in CASES:
        rate = records / seconds[case]
        print(f"  {case:10} {seconds[case]:8.3f} s {rate:14,.0f} records/s {peak[case] / 1e6:6.0f} MB peak")
    return Figures(records, seconds, peak)


def judge(figures: list[Figures]) -> None:
    """Print each promised ratio beside its limit."""
    print()
    for found in figures:
        seconds = found.seconds
        size = f"at {found.records:,}"
        if found.records < 1_000_000:
            check(f"seconds {size}", seconds["insights"], 0.5)
            continue
        check(f"insights / decode {size}", seconds["insights"] / seconds["decode"], 4.0, aim=3.0)
        check(f"insights / SUMMARIZE {size}", seconds["insights"] / seconds["summarize"], 0.5, aim=0.33)
        check(f"two processes / one {size}", seconds["two"] / seconds["insights"], 1 / 1.6)
        check(f"peak MB {size}", found.peak["insights"] / 1e6, 800)
        check(f"peak MB of two processes and their parent {size}", found.peak["two"] / 1e6, 800)
    million, largest = (next((f for f in figures if f.records == n), None) for n in (1_000_000, 10_000_000))
    if million and largest:
        check("peak at 10,000,000 / at 1,000,000", largest.peak["insights"] / million.peak["insights"], 1.2)


def check(name: str, value: float, limit: float, aim: float | None = None) -> None:
    verdict = "pass" if value <= limit else "FAIL"
    aimed = "" if aim is None else f" (aim {aim:.2f})"
    print(f"  {verdict}  {name:55} {value:8.2f}  limit {limit:.2f}{aimed}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of insights.")
    parser.add_argument("--large", action="store_true", help="10 million records too (about 400 MB of disk)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        runs = {"insights": run_insights, "decode": run_decode, "summarize": run_summarize, "two": run_two}
        runs[options.case](sorted(options.folder.glob("*.parquet")))
        return
    sizes = (30_000, 1_000_000, *([10_000_000] if options.large else []))
    judge([compare(records, options.repeat) for records in sizes])


if __name__ == "__main__":
    main()
