"""Seconds and peak memory of each stage, and the model's RMSE beside scikit-learn's.

    python benchmarks/pipeline.py                        30,000 and 1,000,000 records, one worker
    python benchmarks/pipeline.py 10000000 --workers 2   other sizes, more workers
    python benchmarks/pipeline.py --split sequential --no-peer --keep /tmp/sales

Records are generated as Parquet parts, seeded. Every size runs in a process of its own, so that peak memory is its
own; with workers, the pool's largest process is given too. Imports are timed apart. The peer is
scikit-learn's Ridge (alpha 1) on the same features, for the same 70/30 split.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PART_RECORDS = 625_000
SMALL_PART_RECORDS = 15_000
TYPES = {
    "saleid": "CATEGORICAL",
    "price": "NUMERIC",
    "seats": "NUMERIC",
    "daystoevent": "NUMERIC",
    "soldsofar": "NUMERIC",
    "dayofweek": "CATEGORICAL",
    "category": "CATEGORICAL",
    "venue": "CATEGORICAL",
    "seller": "CATEGORICAL",
    "holiday": "BINARY",
    "eventname": "TEXT",
    "totalsold": "NUMERIC",
}


@dataclass(frozen=True)
class LocalFiles:
    """Files as they lie on disk."""

    @contextlib.contextmanager
    def local_copy(self, uri: str) -> Iterator[Path]:
        yield Path(uri)


def generate(folder: str, records: int) -> list[tuple[str, int, int]]:
    """Write the parts; (path, records, bytes) of each. Parts that are there already are kept."""
    size = PART_RECORDS if records >= 4 * PART_RECORDS else max(SMALL_PART_RECORDS, records // 8)
    found = []
    for number, first in enumerate(range(0, records, size)):
        path = Path(folder) / f"{number:04d}_part_00.parquet"
        count = min(size, records - first)
        if not path.exists():
            _write_part(path, first, count, seed=number)
        found.append((str(path), count, path.stat().st_size))
    return found


def _write_part(path: Path, first: int, count: int, seed: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(seed)

    def names(prefix: str, codes: Any) -> Any:
        values = pa.array([f"{prefix}{number}" for number in range(int(codes.max()) + 1)])
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), values).dictionary_decode()

    price, seats = rng.gamma(3, 30, count).round(2), rng.integers(1, 60, count) * 500
    days, sofar = rng.integers(0, 30, count), rng.negative_binomial(1, 0.05, count)
    weekday, category, holiday = rng.integers(0, 7, count), rng.integers(0, 10, count), rng.random(count) < 0.05
    venue, seller, name = rng.zipf(1.3, count) % 200, rng.zipf(1.2, count) % 1000, rng.integers(0, 400, count)
    effect = np.random.default_rng(99).normal(0, 1, 2000)
    sold = 12 - price / 25 + 0.15 * sofar + 3 * np.exp(-days / 7) + np.where(weekday > 4, 1.5, 0) + 2 * holiday
    sold = sold + effect[category] + effect[10 + venue] + effect[210 + seller] * 0.5 + effect[1210 + name] * 0.7
    table = pa.table(
        {
            "saleid": pa.array(np.arange(first, first + count)),
            "price": pa.array(price, mask=rng.random(count) < 0.02),
            "seats": pa.array(seats.astype(np.int32), mask=rng.random(count) < 0.02),
            "daystoevent": pa.array(days.astype(np.int16)),
            "soldsofar": pa.array(sofar.astype(np.int32)),
            "dayofweek": names("day", weekday),
            "category": names("category", category),
            "venue": names("venue", venue),
            "seller": names("seller", seller),
            "holiday": pa.array(holiday),
            "eventname": names("The name of show ", name),
            "totalsold": pa.array(sold + rng.normal(0, 2, count)),
        }
    )
    pq.write_table(table, path, row_group_size=131_072)


def _datasource(parts: list[tuple[str, int, int]]) -> Any:
    from nightcast.datasource.parts import Datasource, Part
    from nightcast.datasource.schema import Attribute, AttributeType, Schema

    schema = Schema(
        tuple(Attribute(name, AttributeType(kind)) for name, kind in TYPES.items()), target="totalsold", row_id="saleid"
    )
    return Datasource(schema, tuple(Part(path, records, size, "PARQUET") for path, records, size in parts))


def _rearrangement(split: str) -> Any:
    from nightcast.datasource.rearrangement import Rearrangement

    return Rearrangement(0, 70, strategy=split, seed="benchmark")


def count_part(numbered: Any) -> int:
    """Decode all columns of a part, and do nothing with them."""
    from nightcast.datasource.parts import read_batches

    return sum(len(batch) for batch in read_batches(numbered, LocalFiles()))


def run_stages(parts: list[tuple[str, int, int]], split: str, workers: int, folder: str) -> dict[str, Any]:
    """All stages in this process; seconds of each."""
    seconds: dict[str, float] = {}

    def timed(name: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        seconds[name] = time.perf_counter() - start
        return result

    stages = timed("imports", _import_stages)
    datasource, files, model_folder = _datasource(parts), LocalFiles(), Path(folder) / "model"
    taken = _rearrangement(split)
    with _mapper(workers) as mapper:
        timed("decode only", lambda: sum(mapper(count_part, datasource.numbered())))
        insights = timed("insights", lambda: stages["insights"](datasource, files, mapper, rearrangement=taken))
        recipe = timed("recipe", lambda: stages["suggest"](datasource.schema, insights))
        model = timed(
            "train", lambda: stages["train"](datasource, insights, recipe, taken, files, mapper, learner="linear")
        )
        timed("save", lambda: stages["save"](model, model_folder))
        evaluation = timed(
            "evaluate", lambda: stages["evaluate"](model, datasource, taken.complemented(), files, mapper)
        )
        found = timed(
            "predict", lambda: stages["predict"](model, datasource, "bp-1", Path(folder) / "out", files, mapper)
        )
    return {
        "seconds": seconds,
        "rmse": evaluation.metric,
        "baseline": evaluation.baseline,
        "features": model.predictor.size,
        "failed": found.records_failed,
        "peak": _peak(resource.RUSAGE_SELF),
        "peak_worker": _peak(resource.RUSAGE_CHILDREN) if workers > 1 else 0,
    }


def _import_stages() -> dict[str, Callable[..., Any]]:
    from nightcast.datasource.insights import compute_insights
    from nightcast.evaluation.evaluate import evaluate
    from nightcast.mlmodel.files import save_model
    from nightcast.mlmodel.train import train
    from nightcast.prediction.batch import predict
    from nightcast.recipe.suggest import suggest_recipe

    return {
        "insights": compute_insights,
        "suggest": suggest_recipe,
        "train": train,
        "save": save_model,
        "evaluate": evaluate,
        "predict": predict,
    }


@contextlib.contextmanager
def _mapper(workers: int) -> Iterator[Any]:
    if workers < 2:
        yield map
        return
    from nightcast.compute import process_pool

    with process_pool(workers) as mapper:
        # Workers import what they need now, not within the first stage.
        list(mapper(_warm, range(2 * workers)))
        yield mapper


def _warm(_: int) -> None:
    _import_stages()
    time.sleep(0.5)


def run_peer(parts: list[tuple[str, int, int]], split: str, folder: str) -> dict[str, Any]:
    """scikit-learn's Ridge on the saved model's features."""
    import numpy as np
    from scipy.sparse import vstack
    from sklearn.linear_model import Ridge

    from nightcast.datasource.arrow_arrays import numbers
    from nightcast.datasource.selection import selected_batches
    from nightcast.mlmodel.files import load_model

    model, datasource, taken = load_model(Path(folder) / "model"), _datasource(parts), _rearrangement(split)
    sides = []
    for side in (taken, taken.complemented()):
        matrices, targets = [], []
        for part in datasource.numbered():
            for batch in selected_batches(part, side, (*model.predictor.featurizer.columns, "totalsold"), LocalFiles()):
                matrices.append(model.predictor.featurizer.transform(batch))
                targets.append(numbers(batch.columns["totalsold"])[0])
        sides.append((vstack(matrices).tocsr(), np.concatenate(targets)))
    (features, target), (held_out, truth) = sides
    start = time.perf_counter()
    ridge = Ridge(alpha=1.0, solver="sparse_cg", tol=1e-8).fit(features, target)
    seconds = time.perf_counter() - start
    rmse = float(np.sqrt(np.mean((ridge.predict(held_out) - truth) ** 2)))
    return {"seconds": seconds, "rmse": rmse, "peak": _peak(resource.RUSAGE_SELF)}


def _peak(who: int) -> float:
    """Largest resident size of a process, in MB (Linux counts in KiB)."""
    return resource.getrusage(who).ru_maxrss / 1024


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def benchmark(records: int, options: argparse.Namespace) -> dict[str, Any]:
    """Generate, run and compare one size; print what was found."""
    with contextlib.ExitStack() as stack:
        root = options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="nightcast-benchmark-"))
        folder = Path(root) / str(records)
        folder.mkdir(parents=True, exist_ok=True)
        parts = _apart(generate, str(folder), records)
        found: dict[str, Any] = _apart(run_stages, parts, options.split, options.workers, str(folder))
        found["peer"] = _apart(run_peer, parts, options.split, str(folder)) if options.peer else None
    found.update(records=records, parts=len(parts), split=options.split, workers=options.workers)
    _report(found)
    return found


def _report(found: dict[str, Any]) -> None:
    records = found["records"]
    print(f"\n{records:,} records in {found['parts']} parts, {found['split']} 70/30, {found['workers']} worker(s)")
    for name, seconds in found["seconds"].items():
        rate = "" if name in ("imports", "recipe", "save") else f"{records / seconds / 1e6:10.2f} M records/s"
        print(f"  {name:<14}{seconds:9.3f} s{rate}")
    stages = sum(seconds for name, seconds in found["seconds"].items() if name not in ("imports", "decode only"))
    worker = f", largest worker {found['peak_worker']:,.0f} MB" if found["peak_worker"] else ""
    print(f"  {'all stages':<14}{stages:9.3f} s   peak memory {found['peak']:,.0f} MB{worker}")
    print(f"  RMSE {found['rmse']:.6f}, baseline {found['baseline']:.6f}, {found['features']:,} features")
    if found["peer"]:
        peer = found["peer"]
        print(
            f"  scikit-learn's Ridge, same features and split: RMSE {peer['rmse']:.6f} "
            f"({100 * (found['rmse'] / peer['rmse'] - 1):+.4f} %), "
            f"fit alone {peer['seconds']:.2f} s, {peer['peak']:,.0f} MB"
        )


def main() -> None:
    """Run the sizes that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("records", nargs="*", type=int, default=[30_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--split", choices=["random", "sequential"], default="random")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave scikit-learn out")
    parser.add_argument("--keep", metavar="FOLDER", help="keep data and results here")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON too")
    options = parser.parse_args()
    found = [benchmark(records, options) for records in options.records]
    if options.json:
        print(json.dumps(found, indent=2, sort_keys=True))


if __name__ == "__main__":
    main()
