"""The linear learner at 1 million and, with --large, 10 million Parquet records, beside scikit-learn.

    python benchmarks/training.py [--large] [--workers 2] [--repeat 3] [--split sequential] [--no-peer] [--keep D]

Prints wall time without imports, and the ratios that are promised beside their limits: training on 70 % and evaluating
on 30 % against merely decoding the columns, in the same processes; RMSE against scikit-learn's Ridge with its default
penalty on the same features; log loss against its LogisticRegression with the same penalty. The steps alternate, and
the median of their repetitions counts. The limit of the ratio is that of 10 million records; with `--split random`
training and evaluation decode all records each. Trust the ratios, which come from one run, and not the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import LocalFiles, _apart, _datasource, _peak, _rearrangement, count_part, generate

SIZES = (1_000_000, 10_000_000)
CLASS_RECORDS = 100_000
RATIO_LIMIT = 4.0
RMSE_LIMIT = 0.001


def score_part(numbered: Any, model: Any) -> int:
    """Predictions for a part, of which nothing is done with."""
    from nightcast.datasource.parts import read_batches

    batches = read_batches(numbered, LocalFiles(), model.columns)
    return sum(len(model.predict(batch)) for batch in batches)


def run_steps(parts: list[tuple[str, int, int]], split: str, workers: int, repeat: int) -> dict[str, Any]:
    """Median seconds of each step, and the model."""
    from nightcast.datasource.insights import compute_insights
    from nightcast.evaluation.evaluate import evaluate
    from nightcast.mlmodel.train import train
    from nightcast.recipe.suggest import suggest_recipe

    datasource, files, taken = _datasource(parts), LocalFiles(), _rearrangement(split)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        seconds.setdefault(name, []).append(time.perf_counter() - start)
        return result

    with _warm_mapper(workers) as mapper:
        insights = compute_insights(datasource, files, mapper, rearrangement=taken)
        recipe = suggest_recipe(datasource.schema, insights)
        learn = partial(train, datasource, insights, recipe, taken, files, mapper, learner="linear")
        for _ in range(repeat):
            timed("decode", lambda: sum(mapper(count_part, datasource.numbered())))
            model = timed("train", learn)
            score = partial(score_part, model=model)
            found = timed("evaluate", partial(evaluate, model, datasource, taken.complemented(), files, mapper))
            timed("score", lambda score=score: sum(mapper(score, datasource.numbered())))
    return {
        "seconds": {name: statistics.median(times) for name, times in seconds.items()},
        "rmse": found.metric,
        "baseline": found.baseline,
        "model": model,
        "peak": _peak_of(workers),
    }


@contextlib.contextmanager
def _warm_mapper(workers: int) -> Iterator[Any]:
    """A mapper whose processes have imported what they need."""
    if workers < 2:
        yield map
        return
    from nightcast.compute import process_pool

    with process_pool(workers) as mapper:
        list(mapper(_warm, range(2 * workers)))
        yield mapper


def _warm(_: int) -> None:
    import nightcast.evaluation.evaluate
    import nightcast.mlmodel.train  # noqa: F401

    time.sleep(0.5)


def _peak_of(workers: int) -> str:
    import resource

    own = f"{_peak(resource.RUSAGE_SELF):,.0f} MB"
    return own if workers < 2 else f"{own}, largest worker {_peak(resource.RUSAGE_CHILDREN):,.0f} MB"


def run_ridge(parts: list[tuple[str, int, int]], split: str, model: Any) -> dict[str, float]:
    """scikit-learn's Ridge with its default penalty on the model's features."""
    import numpy as np
    from scipy.sparse import vstack
    from sklearn.linear_model import Ridge

    from nightcast.datasource.arrow_arrays import numbers
    from nightcast.datasource.selection import selected_batches

    datasource, taken = _datasource(parts), _rearrangement(split)
    sides = []
    for side in (taken, taken.complemented()):
        matrices, targets = [], []
        for part in datasource.numbered():
            for batch in selected_batches(part, side, (*model.columns, "totalsold"), LocalFiles()):
                matrices.append(model.predictor.featurizer.transform(batch))
                targets.append(numbers(batch.columns["totalsold"])[0])
        sides.append((vstack(matrices).tocsr(), np.concatenate(targets)))
    (features, target), (held_out, truth) = sides
    start = time.perf_counter()
    ridge = Ridge(alpha=1.0, solver="sparse_cg", tol=1e-8).fit(features, target)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "rmse": float(np.sqrt(np.mean((ridge.predict(held_out) - truth) ** 2)))}


def run_classes(parts: list[tuple[str, int, int]], target: str, kind: str) -> dict[str, Any]:
    """A classification by the linear learner, and by scikit-learn's LogisticRegression with the same penalty."""
    from dataclasses import replace

    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    from nightcast.datasource.insights import compute_insights
    from nightcast.datasource.rearrangement import Rearrangement
    from nightcast.mlmodel.train import train
    from nightcast.recipe.suggest import suggest_recipe

    datasource = _datasource(parts)
    datasource = replace(datasource, schema=replace(datasource.schema, target=target))
    insights = compute_insights(datasource, LocalFiles())
    recipe = suggest_recipe(datasource.schema, insights)
    start = time.perf_counter()
    given = {"linear.l2": 1.0}
    model = train(datasource, insights, recipe, Rearrangement(), LocalFiles(), learner="linear", parameters=given)
    seconds = time.perf_counter() - start
    features, classes = _matrix(datasource, model)
    peer = LogisticRegression(C=1.0, max_iter=2_000, tol=1e-6)
    start = time.perf_counter()
    peer.fit(features, classes)
    peer_seconds = time.perf_counter() - start
    total = log_loss(classes, peer.predict_proba(features)) * len(classes)
    weights = peer.coef_
    return {
        "kind": kind,
        "records": len(classes),
        "features": features.shape[1],
        "seconds": seconds,
        "peer_seconds": peer_seconds,
        "loss": model.training["penalizedLoss"],
        "peer_loss": total + 0.5 * float(np.sum(weights * weights)),
    }


def _matrix(datasource: Any, model: Any) -> tuple[Any, Any]:
    import numpy as np
    from scipy.sparse import vstack

    from nightcast.datasource.parts import read_batches

    matrices, classes = [], []
    for part in datasource.numbered():
        for batch in read_batches(part, LocalFiles(), (*model.columns, model.target.name)):
            matrices.append(model.predictor.featurizer.transform(batch))
            classes.append(model.target.labels(batch).values.astype(np.int64))
    return vstack(matrices).tocsr(), np.concatenate(classes)


def benchmark(records: int, options: argparse.Namespace) -> None:
    """One size: generate, run, compare, print."""
    with contextlib.ExitStack() as stack:
        root = options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="nightcast-benchmark-"))
        folder = Path(root) / str(records)
        folder.mkdir(parents=True, exist_ok=True)
        parts = _apart(generate, str(folder), records)
        found = _apart(run_steps, parts, options.split, options.workers, options.repeat)
        _report(records, found, options)
        if options.peer:
            ridge = _apart(run_ridge, parts, options.split, found["model"])
            excess = found["rmse"] / ridge["rmse"] - 1
            print(f"  scikit-learn's Ridge: RMSE {ridge['rmse']:.6f}, fit alone {ridge['seconds']:.2f} s")
            _line("RMSE above Ridge's", f"{100 * excess:+.5f} %", "0.1 %", excess <= RMSE_LIMIT)


def _report(records: int, found: dict[str, Any], options: argparse.Namespace) -> None:
    model, seconds = found["model"], found["seconds"]
    print(
        f"\n{records:,} records, {options.split} 70/30, {options.workers} worker(s), {model.predictor.size:,} features"
    )
    for name, taken in seconds.items():
        print(f"  {name:<10}{taken:9.3f} s{records / taken / 1e6:10.2f} M records/s")
    print(f"  peak memory {found['peak']}")
    print(f"  RMSE {found['rmse']:.6f}, baseline {found['baseline']:.6f}")
    ratio = (seconds["train"] + seconds["evaluate"]) / seconds["decode"]
    if records == SIZES[-1]:
        _line("train + evaluate / decode", f"{ratio:.2f}", f"{RATIO_LIMIT:g}", ratio <= RATIO_LIMIT)
    else:
        print(f"  {'train + evaluate / decode':<28}{ratio:>12.2f}")


def classes(options: argparse.Namespace) -> None:
    """Both kinds of classification against scikit-learn, in memory."""
    with contextlib.ExitStack() as stack:
        root = options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="nightcast-benchmark-"))
        folder = Path(root) / str(CLASS_RECORDS)
        folder.mkdir(parents=True, exist_ok=True)
        parts = _apart(generate, str(folder), CLASS_RECORDS)
        for target, kind in (("holiday", "binary"), ("category", "multiclass, 10 classes")):
            found = _apart(run_classes, parts, target, kind)
            print(f"\n{found['records']:,} records, {kind}, {found['features']:,} features")
            print(f"  linear, l2 1: {found['seconds']:.2f} s; LogisticRegression: {found['peer_seconds']:.2f} s")
            excess = found["loss"] / found["peer_loss"] - 1
            _line("penalised loss above its", f"{excess:+.1e}", "1e-6", excess <= 1e-6)


def _line(name: str, value: str, limit: str, kept: bool) -> None:
    print(f"  {name:<28}{value:>12}   limit {limit}: {'kept' if kept else 'MISSED'}")


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--large", action="store_true", help="10 million records too")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--split", choices=["random", "sequential"], default="sequential")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave scikit-learn out")
    parser.add_argument("--keep", metavar="FOLDER", help="keep the records here")
    options = parser.parse_args()
    for records in SIZES if options.large else SIZES[:1]:
        benchmark(records, options)
    if options.peer:
        classes(options)


if __name__ == "__main__":
    main()
