"""Errors of Nightcast's learners on held-out records, beside scikit-learn's on the same split.

    python benchmarks/quality.py                               all data sets, all learners that there are
    python benchmarks/quality.py diabetes iris --learners boosting
    python benchmarks/quality.py --seeds 5                     means over five random splits
    python benchmarks/quality.py --csv wages.csv --target wage [--kind BINARY] [--drop logwage ...]   data of your own

70 % of the records train, the rest evaluate, drawn by seed. Peers: Ridge (alpha 1) or LogisticRegression (C 1) on
one-hot categories and standardised numbers, the same with numbers cut into 50 quantile bins, and HistGradientBoosting
with default settings on ordinal categories (values beyond the 254 most frequent are one). Each line gives RMSE or log
loss, lower is better, accuracy or R2, seconds of the fit, and for a regression of Nightcast's the share of the held-out
records that lie within its intervals of 90 %. Then come the promises: a learner's error divided by that of the best of
those that it is to reach, and at the end for each promise the geometric mean over the data sets. Data: scikit-learn's
own sets, generated ones, and sales of the Complete Journey, where ../shared/data/completejourney is present.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import math
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

JOURNEY = Path(__file__).resolve().parents[2] / "shared" / "data" / "completejourney"
SMALL = ("diabetes", "breast_cancer", "iris", "wine", "digits")
LEARNERS = ("linear", "sgd", "boosting", "auto")
# What a learner is to reach, and how much more it may err; half a per cent is as good.
PROMISES = {
    "linear": (("one-hot linear", "binned linear"), 1.005),
    "sgd": (("linear",), 1.02),
    "boosting": (("histogram boosting",), 1.01),
    "auto": (("linear", "histogram boosting"), 1.01),
}
INTERVAL, COVERED = 0.9, (0.88, 0.92)
MOST_CODES = 254


@dataclass(frozen=True)
class DataSet:
    """Columns by name, numbers as floats and categories as strings; the target's type is that of the problem."""

    columns: dict[str, Any]
    target: Any
    kind: str = "NUMERIC"


class Files:
    """Gives local files as they are."""

    @contextlib.contextmanager
    def local_copy(self, uri: str) -> Iterator[Path]:
        yield Path(uri)


def sklearn_set(name: str) -> DataSet:
    """One of scikit-learn's own data sets."""
    from sklearn import datasets

    matrix, target = getattr(datasets, f"load_{name}")(return_X_y=True)
    columns = {f"a{number}": matrix[:, number] for number in range(matrix.shape[1])}
    if name == "diabetes":
        return DataSet(columns, target)
    kind = "BINARY" if len(set(target)) == 2 else "CATEGORICAL"
    return DataSet(columns, target if kind == "BINARY" else np.array([f"c{value}" for value in target]), kind)


def friedman(records: int) -> DataSet:
    """Friedman's first function: five attributes that matter, five that do not."""
    from sklearn.datasets import make_friedman1

    matrix, target = make_friedman1(records, noise=1.0, random_state=0)
    return DataSet({f"a{number}": matrix[:, number] for number in range(10)}, target)


def counts(records: int) -> DataSet:
    """Poisson counts with effects that multiply."""
    random = np.random.default_rng(0)
    found = random.normal(size=(8, records))
    rate = np.exp(0.5 + 0.5 * found[0] + 0.3 * np.sin(2 * found[1]) + 0.4 * (found[2] > 0) * found[3])
    columns = {f"a{number}": values for number, values in enumerate(found)}
    return DataSet(columns, random.poisson(rate).astype(float))


def stores(records: int, kind: str = "NUMERIC") -> DataSet:
    """Sales of 2,000 stores, most of them seldom, on days of two years; or whether they are above 20."""
    random = np.random.default_rng(1)
    store = np.minimum(random.zipf(1.3, records), 2000)
    level, price, day = random.normal(0, 4, 2001), random.gamma(3, 3, records), random.integers(0, 730, records)
    season = 3 * np.sin(day / 58) + 2 * (day % 7 >= 5)
    sold = 20 + level[store] - 0.5 * price + season + random.normal(0, 3, records)
    columns = {
        "store": np.array([f"s{number}" for number in store]),
        "price": np.where(random.random(records) < 0.05, np.nan, price),
        "day": (np.datetime64("2008-01-01") + day).astype(str),
    }
    return DataSet(columns, sold if kind == "NUMERIC" else (sold > 20).astype(int), kind)


def journey_lines(table: str) -> list[dict[str, str]]:
    with gzip.open(JOURNEY / f"{table}_pipe.txt.gz", "rt", encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="|", quoting=csv.QUOTE_NONE))


def journey(keys: str, value: str) -> DataSet:
    """Sums of sales by category and week, by store and day, or by product and week."""
    products = {line["product_id"]: line for line in journey_lines("products")}
    sums: dict[tuple[str, ...], float] = defaultdict(float)
    for line in journey_lines("transactions"):
        product = products.get(line["product_id"], {})
        if keys != "store_day" and (not product.get("product_category") or product["department"] == "FUEL"):
            continue
        key = {
            "category_week": (line["week"], product.get("department", ""), product.get("product_category", "")),
            "product_week": (line["week"], line["product_id"], product.get("product_category", "")),
            "store_day": (line["transaction_timestamp"][:10], line["store_id"]),
        }[keys]
        sums[key] += float(line[value])
    found = list(zip(*sorted(sums), strict=True))
    target = np.array([sums[key] for key in sorted(sums)])
    if keys == "store_day":
        return DataSet({"day": np.array(found[0]), "store": np.array(found[1])}, target)
    names = ("department", "category") if keys == "category_week" else ("product", "category")
    columns = {"week": np.array(found[0], dtype=float)}
    return DataSet(columns | {name: np.array(values) for name, values in zip(names, found[1:], strict=True)}, target)


def data_sets() -> dict[str, Callable[[], DataSet]]:
    """All data sets by name, not yet made."""
    found: dict[str, Callable[[], DataSet]] = {name: lambda name=name: sklearn_set(name) for name in SMALL}  # type: ignore[misc]
    found |= {
        "friedman_300": lambda: friedman(300),
        "friedman_30000": lambda: friedman(30_000),
        "counts_8000": lambda: counts(8000),
        "stores_20000": lambda: stores(20_000),
        "stores_binary_20000": lambda: stores(20_000, "BINARY"),
        "stores_300000": lambda: stores(300_000),
    }
    if JOURNEY.is_dir():
        for keys in ("category_week", "store_day", "product_week"):
            found[f"{keys}_sales"] = lambda keys=keys: journey(keys, "sales_value")  # type: ignore[misc]
        found["category_week_quantity"] = lambda: journey("category_week", "quantity")
    return found


def csv_set(path: str, target: str, kind: str, drop: list[str]) -> DataSet:
    """A CSV file with a header: numbers where all values are, else categories; records without target are left out."""
    import pandas

    frame = pandas.read_csv(path).drop(columns=drop).dropna(subset=[target]).reset_index(drop=True)
    truth = frame.pop(target)

    def texts(values: Any) -> Any:
        return np.array(values.fillna("").astype(str).tolist())

    columns = {
        str(name): values.to_numpy(float) if values.dtype.kind in "iufb" else texts(values)
        for name, values in frame.items()
    }
    if kind == "BINARY":
        return DataSet(columns, pandas.factorize(truth, sort=True)[0], kind)
    return DataSet(columns, truth.to_numpy(float) if kind == "NUMERIC" else texts(truth), kind)


def dates_of(values: Any) -> list[date | None]:
    """Texts as dates, None for an empty one; no list if there is a text that is none."""
    if values.dtype.kind != "U" or max(map(len, values.tolist())) != len("2008-01-01"):
        return []
    try:
        return [date.fromisoformat(value) if value else None for value in values.tolist()]
    except ValueError:
        return []


def numbers_of(data: DataSet) -> dict[str, Any]:
    """Columns as a person would give them to scikit-learn: dates as day, month and weekday."""
    columns = {}
    for name, values in data.columns.items():
        if days := dates_of(values):
            columns[name] = np.array([float(day.toordinal()) if day else np.nan for day in days])
            columns[f"{name} month"] = np.array([str(day.month) if day else "" for day in days])
            columns[f"{name} weekday"] = np.array([str(day.weekday()) if day else "" for day in days])
        else:
            columns[name] = values
    return columns


def peers(data: DataSet, train: Any, seed: int) -> dict[str, tuple[Any, float]]:
    """Predictions for the records that do not train, and seconds of the fit."""
    import pandas
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

    regression = data.kind == "NUMERIC"
    frame = pandas.DataFrame(numbers_of(data))
    words = [name for name in frame if frame[name].dtype.kind not in "fiub"]
    rest = [name for name in frame if name not in words]
    one_hot = (OneHotEncoder(handle_unknown="ignore"), words)
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    bins = KBinsDiscretizer(50, quantile_method="averaged_inverted_cdf")
    binned = make_pipeline(SimpleImputer(strategy="median"), bins)
    linear = (lambda: Ridge()) if regression else (lambda: LogisticRegression(max_iter=2000))
    boosting: Any = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    coded = frame.copy()
    for name in words:
        kept = {value: code for code, (value, _) in enumerate(Counter(frame[name][train]).most_common(MOST_CODES))}
        coded[name] = [float(kept.get(value, MOST_CODES)) for value in frame[name]]
    models = {
        "one-hot linear": (make_pipeline(make_column_transformer(one_hot, (scaled, rest)), linear()), frame),
        "binned linear": (make_pipeline(make_column_transformer(one_hot, (binned, rest)), linear()), frame),
        "histogram boosting": (boosting(random_state=seed, categorical_features=words or None), coded),
    }
    found = {}
    for name, (model, inputs) in models.items():
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(inputs[train], data.target[train])
            predicted = model.predict(inputs[~train]) if regression else model.predict_proba(inputs[~train])
        found[name] = (predicted, time.perf_counter() - start)
    return found


def ours(data: DataSet, train: Any, learner: str, folder: str, seed: int) -> tuple[Any, float, float]:
    """As of `peers`, with a learner of Nightcast and its recipe; and the share of records within its intervals."""
    from nightcast.datasource.insights import compute_insights
    from nightcast.datasource.parts import Datasource, Part, read_batches
    from nightcast.datasource.schema import Attribute, AttributeType, Schema
    from nightcast.mlmodel.learner_table import learner_of
    from nightcast.mlmodel.learners import TrainingTask
    from nightcast.mlmodel.targets import Target
    from nightcast.recipe.grammar import parse_recipe
    from nightcast.recipe.suggest import suggest_recipe

    kinds = {
        name: AttributeType.CATEGORICAL if values.dtype.kind == "U" else AttributeType.NUMERIC
        for name, values in data.columns.items()
    }
    schema = Schema(
        tuple(Attribute(*item) for item in (kinds | {"target": AttributeType(data.kind)}).items()), target="target"
    )
    both = []
    for name, chosen in (("train", train), ("evaluate", ~train)):
        values = {**data.columns, "target": data.target}
        arrays = {key: pa.array(column[chosen], from_pandas=True) for key, column in values.items()}
        path = Path(folder) / f"{name}.parquet"
        pq.write_table(pa.table(arrays), path)
        both.append(Datasource(schema, (Part(str(path), int(chosen.sum()), path.stat().st_size, "PARQUET"),)))
    start = time.perf_counter()
    insights = compute_insights(both[0], Files())
    recipe = parse_recipe(suggest_recipe(schema, insights), schema)
    target = Target.of(schema, insights)
    task = TrainingTask(both[0], insights, recipe, target, insights.rearrangement, Files(), str(seed))
    fit = learner_of(learner, {}).fit(task, map)
    batches = read_batches(both[1].numbered()[0], Files(), fit.predictor.columns)
    predicted = np.concatenate([fit.link.predictions(fit.predictor.raw_scores(batch)) for batch in batches])
    seconds = time.perf_counter() - start
    if data.kind == "NUMERIC":
        return predicted, seconds, covered(task, fit, data.target[~train], predicted)
    return predicted if predicted.ndim > 1 else np.column_stack([1 - predicted, predicted]), seconds, math.nan


def covered(task: Any, fit: Any, truth: Any, predicted: Any) -> float:
    """The share of the records that lie within the prediction intervals of 90 %."""
    from nightcast.mlmodel.held_out import held_out_records
    from nightcast.mlmodel.intervals import intervals_of

    residuals = fit.residuals
    if residuals is None:
        held = held_out_records(task, [fit], map)
        if held is None:
            return math.nan
        residuals = held.predictions[0], held.targets - held.predictions[0]
    intervals = intervals_of(task, *residuals)
    if intervals is None:
        return math.nan
    lower, upper = intervals.bounds(predicted, INTERVAL)
    return float(((lower <= truth) & (truth <= upper)).mean())


def errors(data: DataSet, held: Any, predicted: Any) -> tuple[float, float]:
    """RMSE and R2, or log loss and accuracy."""
    truth = data.target[held]
    if data.kind == "NUMERIC":
        rmse = float(np.sqrt(np.mean((truth - predicted) ** 2)))
        return rmse, 1 - rmse**2 / float(truth.var())
    _, places = np.unique(data.target, return_inverse=True)
    true = places[held]
    chosen = predicted[np.arange(len(true)), true]
    return float(-np.log(np.maximum(chosen, 1e-15)).mean()), float((predicted.argmax(axis=1) == true).mean())


def run(name: str, data: DataSet, learners: list[str], seeds: int) -> dict[str, float]:
    """Print the lines of one data set, and give the ratio of each promise."""
    found: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(data.target))
        train = np.zeros(len(order), dtype=bool)
        train[order[: int(0.7 * len(order))]] = True
        results: dict[str, Any] = {model: (*pair, math.nan) for model, pair in peers(data, train, seed).items()}
        with tempfile.TemporaryDirectory() as folder:
            results |= {learner: ours(data, train, learner, folder, seed) for learner in learners}
        for model, (predicted, seconds, within) in results.items():
            found[model].append((*errors(data, ~train, predicted), seconds, within))
    means = {model: np.mean(values, axis=0) for model, values in found.items()}
    print(f"{name}: {len(data.target):,} records, {'RMSE' if data.kind == 'NUMERIC' else 'log loss'}", flush=True)
    for model, (loss, score, seconds, within) in means.items():
        beside = "" if math.isnan(within) else f"   {within:.1%} within intervals of {INTERVAL:.0%}"
        what = "R2" if data.kind == "NUMERIC" else "accuracy"
        print(f"  {model:20}{loss:10.4f}   {what} {score:.3f}   {seconds:6.1f} s{beside}", flush=True)
    losses = {model: float(values[0]) for model, values in means.items()}
    ratios = {}
    for model, (reached, limit) in PROMISES.items():
        if model in losses and all(other in losses for other in reached):
            best = min(losses[other] for other in reached)
            ratios[model] = losses[model] / best if best else math.inf if losses[model] else 1.0
            word, others = verdict(ratios[model] <= limit), " or ".join(reached)
            print(f"  {word}  {model} / {others} {ratios[model]:.3f}   at most {limit}", flush=True)
    # Two standard errors of as many records.
    chance = 2 * math.sqrt(INTERVAL * (1 - INTERVAL) / (seeds * max(int((~train).sum()), 1)))
    for model, (_, _, _, within) in means.items():
        if not math.isnan(within):
            low, high = COVERED
            word = verdict(low - chance <= within <= high + chance)
            print(
                f"  {word}  {model} covers {within:.1%}   {low:.0%} to {high:.0%}, by chance {chance:.1%} more or less"
            )
    return ratios


def verdict(kept: bool) -> str:
    """The word for a promise that was kept, or not."""
    return "pass" if kept else "MISS"


def main() -> None:
    """Run the chosen data sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--learners", nargs="+", default=list(LEARNERS), choices=LEARNERS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--csv", metavar="FILE")
    parser.add_argument("--target", metavar="NAME")
    parser.add_argument("--kind", choices=("NUMERIC", "BINARY", "CATEGORICAL"), default="NUMERIC")
    parser.add_argument("--drop", nargs="*", default=[], metavar="NAME", help="columns to leave out")
    given = parser.parse_args()
    if bool(given.csv) != bool(given.target):
        parser.error("--csv and --target go together")
    known = data_sets()
    if given.csv:
        known = {Path(given.csv).stem: lambda: csv_set(given.csv, given.target, given.kind, given.drop)}
    ratios: dict[str, list[float]] = defaultdict(list)
    for name in given.names or known:
        for model, ratio in run(name, known[name](), given.learners, given.seeds).items():
            ratios[model].append(ratio)
    print("in all")
    for model, values in ratios.items():
        reached, limit = PROMISES[model]
        kept, mean = sum(value <= limit for value in values), math.exp(np.mean(np.log(np.maximum(values, 1e-12))))
        print(f"  {model} / {' or '.join(reached)}   mean {mean:.3f}   at most {limit} on {kept} of {len(values)}")


if __name__ == "__main__":
    main()
