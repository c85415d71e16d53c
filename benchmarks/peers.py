"""`nightcast run`, records to predictions, beside scikit-learn with pandas, Vowpal Wabbit with DuckDB, and Spark.

    python benchmarks/peers.py --peers-python PEERS/bin/python [--large] [--repeat 3] [--cases nightcast pandas]

Each case computes statistics, trains a linear model on the first 70 % of the records, evaluates it on the rest, and
writes predictions for all of them as gzip CSV; what else differs stands in README.md here. A case is a process of its
own, imports included, with two processors' worth of threads or processes; cases alternate, and the median counts.
Memory is the highest sum of the resident sizes of the process and its descendants. `stages` are Nightcast's stages in
one process, whose imports are timed apart. Trust the ratios, which come from one run, and not the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from insights import COLUMNS, check, write_sales

SIZES = (30_000, 1_000_000)
LARGE = 10_000_000
TARGET, ROW_ID = "totalsold", "saleid"
# Peers' features come from the other attributes.
UNUSED = ("day", "note")
SCRIPTS = {"pandas": "pandas_sklearn.py", "vw": "duckdb_vw.py", "spark": "spark_mllib.py"}
MODULES = {"pandas": "pandas, sklearn", "vw": "duckdb, vowpalwabbit", "spark": "pyspark"}
CASES = ("nightcast", "stages", *SCRIPTS)
SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Run:
    """One run of a case: seconds with imports and, where they are known, without; bytes; error on held-out records."""

    seconds: float
    peak: float
    rmse: float
    stages: float = math.nan


def command(case: str, data: Path, out: Path, options: argparse.Namespace) -> list[str]:
    if case == "nightcast":
        arguments = ["--target", TARGET, "--row-id", ROW_ID, "--learner", "linear"]
        if options.same_features:
            schema = out / "override.schema"
            schema.write_text(json.dumps({"excludedAttributeNames": list(UNUSED)}))
            arguments += ["--schema", str(schema)]
        return [sys.executable, "-m", "nightcast.cli", "run", str(data), *arguments, "-o", str(out / "run")]
    if case == "stages":
        return [
            sys.executable,
            __file__,
            "--stages",
            str(data),
            str(out),
            *(["--same-features"] if options.same_features else []),
        ]
    return [
        options.peers_python,
        "-W",
        "ignore",
        str(Path(__file__).with_name("peers") / SCRIPTS[case]),
        str(data),
        str(out),
    ]


def installed(case: str, peers_python: str) -> bool:
    """Whether a case can run here."""
    words = [peers_python, "-c", f"import {MODULES[case]}"] if case in MODULES else []
    if case == "nightcast":
        words = [sys.executable, "-m", "nightcast.cli", "run", "--help"]
    return not words or subprocess.run(words, capture_output=True).returncode == 0


def measured(case: str, data: Path, options: argparse.Namespace) -> Run | None:
    """One case in a process of its own, watched; nothing if it failed."""
    with tempfile.TemporaryDirectory(prefix=f"{case}-", dir=data.parent) as name:
        out = Path(name)
        with (out / "stdout").open("wb") as stdout, (out / "stderr").open("wb") as stderr:
            started = time.perf_counter()
            process = subprocess.Popen(command(case, data, out, options), stdout=stdout, stderr=stderr)
            with watched(process.pid) as peak:
                status = process.wait()
            seconds = time.perf_counter() - started
        if status:
            print(f"  {case} failed:\n{(out / 'stderr').read_text()[-2000:]}")
            return None
        if case == "nightcast":
            evaluation = json.loads((out / "run" / "evaluation.json").read_text())
            return Run(seconds, peak[0], evaluation["performanceMetrics"]["RegressionRMSE"])
        found = json.loads((out / "stdout").read_text().splitlines()[-1])
        return Run(seconds, peak[0], found["rmse"], found.get("seconds", math.nan))


@contextlib.contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """Sample the resident size of a process and its descendants; pages that they share count in each."""
    peak, done = [0.0], threading.Event()

    def sample() -> None:
        root = psutil.Process(pid)
        while not done.wait(SAMPLE_SECONDS):
            total = 0
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (root, *root.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        total += process.memory_info().rss
            peak[0] = max(peak[0], total)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def run_stages(data: Path, out: Path, same_features: bool) -> None:
    """The stages of ``nightcast run`` in this process; prints the RMSE and the seconds without imports."""
    from nightcast.compute import mapper_for
    from nightcast.datasource.insights import compute_insights
    from nightcast.datasource.opening import open_datasource
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.evaluation.evaluate import evaluate
    from nightcast.mlmodel.files import save_model
    from nightcast.mlmodel.train import train
    from nightcast.prediction.batch import predict
    from nightcast.recipe.suggest import suggest_recipe
    from nightcast.storage import Storage

    started = time.perf_counter()
    files = Storage()
    override = json.dumps({"excludedAttributeNames": list(UNUSED) if same_features else []})
    opened = open_datasource(str(data), files, schema_text=override, target=TARGET, row_id=ROW_ID)
    datasource, taken = opened.datasource, Rearrangement(0, 70)
    with mapper_for(len(datasource.parts), datasource.records) as mapper:
        insights = compute_insights(datasource, files, mapper, rearrangement=taken)
        recipe = suggest_recipe(datasource.schema, insights)
        model = train(datasource, insights, recipe, taken, files, mapper, learner="linear")
        save_model(model, out / "model")
        found = evaluate(model, datasource, taken.complemented(), files, mapper)
        predict(model, datasource, "bp-1", out / "predictions", files, mapper)
    print(json.dumps({"rmse": found.metric, "seconds": time.perf_counter() - started}))


def compare(records: int, options: argparse.Namespace) -> dict[str, Run]:
    """Run the cases at one size, and print them."""
    cases = [case for case in options.cases if installed(case, options.peers_python)]
    with tempfile.TemporaryDirectory(prefix="nightcast-peers-", dir=options.folder) as name:
        data = Path(name) / "data"
        data.mkdir()
        subprocess.run([sys.executable, __file__, "--generate", str(data), str(records)], check=True)
        size = sum(file.stat().st_size for file in data.iterdir())
        print(f"\n{records:,} records, {len(COLUMNS)} columns, {size / 1e6:.0f} MB, {len(list(data.iterdir()))} parts")
        runs: dict[str, list[Run]] = {case: [] for case in cases}
        for _ in range(options.repeat):
            for case in cases:
                run = measured(case, data, options)
                runs[case] += [run] if run else []
    found = {case: summary(tries) for case, tries in runs.items() if tries}
    for case in options.cases:
        lacking = "failed" if case in cases else "not installed"
        print(f"  {case:10} {line(found[case]) if case in found else lacking}")
    return found


def summary(runs: list[Run]) -> Run:
    """Medians of the seconds, and the highest peak."""
    return Run(
        statistics.median(run.seconds for run in runs),
        max(run.peak for run in runs),
        runs[-1].rmse,
        statistics.median(run.stages for run in runs),
    )


def line(run: Run) -> str:
    apart = "" if math.isnan(run.stages) else f"   {run.stages:.2f} s without imports"
    return f"{run.seconds:9.2f} s {run.peak / 1e6:7,.0f} MB   RMSE {run.rmse:.5f}{apart}"


def judge(records: int, found: dict[str, Run]) -> None:
    """Print what is promised beside its limit."""
    print(f"\n  at {records:,}")
    # Without the command the stages stand for it; their seconds include imports here as well.
    ours = found.get("nightcast") or found.get("stages")
    if records <= SIZES[0]:
        if "stages" in found:
            check("seconds of the stages without imports", found["stages"].stages, 1.0)
        if "nightcast" in found:
            check("seconds of the command", found["nightcast"].seconds, 4.0)
        return
    if ours is None:
        return
    for case, times in (("pandas", 10.0), ("vw", 8.0), ("spark", 8.0)):
        if case in found:
            promised(f"times faster than {case}", found[case].seconds / ours.seconds, times, records)
    if "pandas" in found:
        promised("times less memory than pandas", found["pandas"].peak / ours.peak, 8.0, records)
        print(f"        {'RMSE above that of pandas, %':55} {100 * (ours.rmse / found['pandas'].rmse - 1):+8.2f}")
    if records >= LARGE:
        check("peak MB", ours.peak / 1e6, 1000)


def promised(name: str, value: float, limit: float, records: int) -> None:
    """A ratio that is to be at least so much at ten million records, and told at other sizes."""
    verdict = "    " if records < LARGE else "pass" if value >= limit else "FAIL"
    print(f"  {verdict}  {name:55} {value:8.2f}  at least {limit:.0f} at {LARGE:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of nightcast run beside its peers.")
    parser.add_argument("--peers-python", default=sys.executable, help="interpreter that has requirements-peers.txt")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--records", nargs="+", type=int, help="other sizes")
    parser.add_argument("--large", action="store_true", help="10 million records too (about 6 GB of disk)")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--same-features", action="store_true", help="Nightcast leaves day and note out, as peers do")
    parser.add_argument("--folder", metavar="FOLDER", help="where temporary files go")
    parser.add_argument("--stages", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--generate", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stages:
        run_stages(*options.stages, options.same_features)
    elif options.generate:
        write_sales(Path(options.generate[0]), int(options.generate[1]))
    else:
        sizes = options.records or (*SIZES, *([LARGE] if options.large else []))
        found = {records: compare(records, options) for records in sizes}
        for records, runs in found.items():
            judge(records, runs)


if __name__ == "__main__":
    main()
