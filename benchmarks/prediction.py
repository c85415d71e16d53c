"""Batch prediction at 1 million and, with --large, 10 million records: Parquet in, gzip CSV out, on two processes.

    python benchmarks/prediction.py [--large] [--repeat 3] [--learners linear boosting]
    python benchmarks/prediction.py --profile

Prints records per second of both kinds of model, beside their limits, and peak memory as the highest sum of the
resident sizes of the processes. Models learn from the first 200,000 records; that, imports and the start of the workers
are left out. --profile tells instead where the time of one process goes.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from insights import write_sales
from peers import ROW_ID, TARGET, watched

SIZES = (1_000_000, 10_000_000)
TRAINING_RECORDS = 200_000
LIMITS = {"linear": 2_000_000, "boosting": 300_000}
# Functions that --profile counts with all that they call; "lines" are without scoring and formatting.
STEPS = {
    "whole": ("prediction/batch.py", "predict"),
    "read": ("datasource/parts.py", "read_batches"),
    "score": ("mlmodel/model.py", "predict"),
    "format scores": ("prediction/formatting.py", "format_scores"),
    "lines": ("prediction/lines.py", "result_lines"),
    "gzip": ("prediction/batch.py", "write"),
}


def storage() -> Any:
    from nightcast.storage import Storage

    return Storage()


def opened(data: Path) -> Any:
    from nightcast.datasource.opening import open_datasource

    return open_datasource(str(data), storage(), target=TARGET, row_id=ROW_ID).datasource


def train_model(learner: str, data: Path, folder: Path) -> None:
    """Train on the records in `data`, and save the model."""
    from nightcast.datasource.insights import compute_insights
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.mlmodel.files import save_model
    from nightcast.mlmodel.train import train
    from nightcast.recipe.suggest import suggest_recipe

    datasource, files = opened(data), storage()
    insights = compute_insights(datasource, files)
    recipe = suggest_recipe(datasource.schema, insights)
    save_model(train(datasource, insights, recipe, Rearrangement(), files, learner=learner), folder)


def run(model_folder: Path, data: Path, processes: int) -> None:
    """Predict once; print the seconds, the highest memory and the bytes written."""
    from nightcast.mlmodel.files import load_model
    from nightcast.prediction.batch import predict

    model, datasource = load_model(model_folder), opened(data)
    with tempfile.TemporaryDirectory(dir=data.parent) as out, warm_mapper(processes) as mapper:
        with watched(os.getpid()) as peak:
            started = time.perf_counter()
            found = predict(model, datasource, "bp-1", Path(out), storage(), mapper)
            seconds = time.perf_counter() - started
        written = sum(result.path.stat().st_size for result in found.results)
    print(json.dumps({"seconds": seconds, "peak": peak[0], "written": written, "failed": found.records_failed}))


@contextlib.contextmanager
def warm_mapper(processes: int) -> Iterator[Any]:
    """A mapper whose processes have imported what they need."""
    if processes < 2:
        yield map
        return
    from nightcast.compute import process_pool

    with process_pool(processes) as mapper:
        list(mapper(_warm, range(2 * processes)))
        yield mapper


def _warm(_: int) -> None:
    import nightcast.mlmodel.files
    import nightcast.prediction.batch  # noqa: F401

    time.sleep(0.5)


def profile(model_folder: Path, data: Path) -> None:
    """Print where the time of one process goes."""
    import cProfile
    import pstats

    from nightcast.mlmodel.files import load_model
    from nightcast.prediction.batch import predict

    model, datasource = load_model(model_folder), opened(data)
    with tempfile.TemporaryDirectory(dir=data.parent) as out:
        profiler = cProfile.Profile()
        profiler.runcall(predict, model, datasource, "bp-1", Path(out), storage())
    # {(file, line, function): (primitive calls, calls, own seconds, seconds with what it calls, callers)}
    entries: dict[Any, Any] = vars(pstats.Stats(profiler))["stats"]
    seconds = {
        step: sum(found[3] for (file, _, name), found in entries.items() if file.endswith(end) and name == function)
        for step, (end, function) in STEPS.items()
    }
    whole = seconds.pop("whole")
    seconds["lines"] -= seconds["score"] + seconds["format scores"]
    seconds["the rest"] = whole - sum(seconds.values())
    print(f"  {whole:.2f} s, {datasource.records / whole:,.0f} records/s, under the profiler")
    for step, taken in seconds.items():
        print(f"  {step:15} {taken:8.3f} s {100 * taken / whole:6.1f} %")


def measured(model_folder: Path, data: Path, processes: int) -> dict[str, float]:
    words = [sys.executable, __file__, "--run", str(model_folder), str(data), str(processes)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(records: int, options: argparse.Namespace, models: dict[str, Path], root: Path) -> None:
    data = generated(root, records)
    print(f"\n{records:,} records, {len(list(data.iterdir()))} parts, {options.processes} processes")
    runs: dict[str, list[dict[str, float]]] = {learner: [] for learner in models}
    for _ in range(options.repeat):
        for learner, folder in models.items():
            runs[learner].append(measured(folder, data, options.processes))
    for learner, tries in runs.items():
        seconds = statistics.median(one["seconds"] for one in tries)
        peak, written = max(one["peak"] for one in tries), tries[0]["written"]
        rate, limit = records / seconds, LIMITS[learner]
        print(
            f"  {'pass' if rate >= limit else 'FAIL'}  {learner:10} {seconds:8.2f} s {rate:12,.0f} records/s  "
            f"at least {limit:,}; {peak / 1e6:,.0f} MB peak, {written / 1e6:.1f} MB written"
        )


def generated(root: Path, records: int) -> Path:
    """Records in a folder of their own, made by another process so that memory is that of predicting."""
    data = root / f"{records}"
    if not data.exists():
        data.mkdir()
        subprocess.run([sys.executable, __file__, "--generate", str(data), str(records)], check=True)
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of batch prediction.")
    parser.add_argument("--learners", nargs="+", choices=list(LIMITS), default=list(LIMITS))
    parser.add_argument("--records", nargs="+", type=int, help="other sizes")
    parser.add_argument("--large", action="store_true", help="10 million records too")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="where the time of one process goes")
    parser.add_argument("--generate", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.generate:
        write_sales(Path(options.generate[0]), int(options.generate[1]))
    elif options.train:
        train_model(options.train[0], Path(options.train[1]), Path(options.train[2]))
    elif options.run:
        run(Path(options.run[0]), Path(options.run[1]), int(options.run[2]))
    else:
        benchmark(options)


def benchmark(options: argparse.Namespace) -> None:
    """Train the models, and predict at each size."""
    with tempfile.TemporaryDirectory(prefix="nightcast-prediction-") as name:
        root = Path(name)
        training = generated(root, TRAINING_RECORDS)
        models = {learner: root / learner for learner in options.learners}
        for learner, folder in models.items():
            words = [sys.executable, __file__, "--train", learner, str(training), str(folder)]
            subprocess.run(words, check=True)
        sizes = options.records or (SIZES if options.large else SIZES[:1])
        if options.profile:
            for learner, folder in models.items():
                print(f"\n{learner}, {sizes[0]:,} records, one process")
                profile(folder, generated(root, sizes[0]))
            return
        for records in sizes:
            compare(records, options, models, root)


if __name__ == "__main__":
    main()
