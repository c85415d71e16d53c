"""Results that users of Amazon ML published, beside Nightcast's on the same data, or on data as similar as there are.

    python benchmarks/published.py                                      Iris and the sine mixture
    python benchmarks/published.py --data titanic=titanic.csv --data ames=AmesHousing.csv:SalePrice
    python benchmarks/published.py iris --learners sgd --seeds 10

Iris comes with scikit-learn, the sine mixture is generated. The others are files of yours, CSV with a header line, or
Parquet, named by --data NAME=FILE[:TARGET]; a schema beside the file (FILE.schema) is respected:

    titanic    passengers of the Titanic; target survived (0/1)
    sms        the SMS spam collection; target spam (0/1), and the text
    banking    the tutorial's banking.csv, or UCI's Bank Marketing; target y (0/1, yes/no)
    seeds      UCI's seeds; target seedType (1, 2, 3)
    airline    flights with DepDelay, TaxiIn, TaxiOut and more; target ArrDelay, in minutes
    ames       Ames housing; target SalePrice

The service's figures are single runs with their authors' splits, so compare with tolerance. Here 70 % of the records
train and the others evaluate, drawn at random; each figure is a mean over --seeds splits. ``sgd`` has Amazon ML's own
parameters (10 passes, L2 1e-6) and a recipe that Amazon ML could read; ``linear`` and ``auto`` their defaults. AUC
and F1: higher is better; RMSE: lower is better.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LEARNERS = ("sgd", "linear", "auto")
BINARY, CATEGORICAL, NUMERIC = "BINARY", "CATEGORICAL", "NUMERIC"
METRICS = {BINARY: "AUC", CATEGORICAL: "macro F1", NUMERIC: "RMSE"}
# Numbers as they are: what the published runs without quantile bins had.
WITHOUT_BINS = json.dumps({"outputs": ["ALL_INPUTS"]})
POLYNOMIAL = json.dumps({"outputs": ["x", "x2", "x3", "x4", "x5"]})


@dataclass(frozen=True)
class Published:
    """A result of the service: its metric follows from the target's type; `recipe` is the suggested one where empty."""

    data: str
    target: str
    kind: str
    service: str
    note: str = ""
    recipe: str = ""
    excluded: tuple[str, ...] = ()


POWERS = ("x2", "x3", "x4", "x5")
RESULTS = (
    Published("iris", "species", CATEGORICAL, "0.94"),
    Published("sine", "y", NUMERIC, "0.154", "500 bins", excluded=POWERS),
    Published("sine", "y", NUMERIC, "1.0207", "plain x", WITHOUT_BINS, POWERS),
    Published("sine", "y", NUMERIC, "0.85", "polynomial of degree 5", POLYNOMIAL),
    Published("titanic", "survived", BINARY, "0.84 to 0.88"),
    Published("titanic", "survived", BINARY, "0.81", "without bins", WITHOUT_BINS),
    Published("sms", "spam", BINARY, "0.98"),
    Published("banking", "y", BINARY, "0.94"),
    Published("seeds", "seedType", CATEGORICAL, "0.870"),
    Published("airline", "ArrDelay", NUMERIC, "7.0557"),
    Published("ames", "SalePrice", NUMERIC, "28,075 to 29,853"),
)


def write_iris(folder: Path) -> Path:
    """Iris, as the file that a user would have."""
    from sklearn.datasets import load_iris

    found = load_iris()
    names = [found.target_names[place] for place in found.target]
    header = "sepal_length,sepal_width,petal_length,petal_width,species"
    lines = [",".join([*map(str, row), name]) for row, name in zip(found.data.tolist(), names, strict=True)]
    return _written(folder / "iris.csv", [header, *lines])


def write_sine(folder: Path) -> Path:
    """1,000 records of two waves of one number, with noise of deviation 0.1: its own deviation is about 1."""
    random = np.random.default_rng(0)
    x = random.uniform(0, 2, 1000)
    y = np.sin(1.5 * np.pi * x) + np.sin(5 * np.pi * x) + random.normal(0, 0.1, 1000)
    rows = np.column_stack([x, x**2, x**3, x**4, x**5, y])
    return _written(folder / "sine.csv", ["x,x2,x3,x4,x5,y", *(",".join(f"{v:.9g}" for v in row) for row in rows)])


def _written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def nightcast(*arguments: str | Path) -> str:
    """What the command prints; it ends the program where the command fails."""
    from nightcast.cli import main as command

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = command([str(argument) for argument in arguments])
    if code:
        sys.exit(f"nightcast {arguments[0]} failed on {arguments[1]}")
    return printed.getvalue()


def measured(result: Published, data: Path, learner: str, seed: int, folder: Path) -> tuple[float, float]:
    """Metric and baseline on the records that did not train, of one random split."""
    schema, recipe, model = folder / "part.schema", folder / "recipe.json", folder / "model"
    part: dict[str, Any] = {
        "targetAttributeName": result.target,
        "attributes": [{"attributeName": result.target, "attributeType": result.kind}],
    }
    if result.excluded:
        part["excludedAttributeNames"] = list(result.excluded)
    schema.write_text(json.dumps(part), encoding="utf-8")
    split: dict[str, Any] = {"percentBegin": 0, "percentEnd": 70, "strategy": "random"}
    split["strategyParams"] = {"randomSeed": str(seed)}
    trains = ("--split", json.dumps({"splitting": split}))
    evaluates = ("--split", json.dumps({"splitting": split | {"complement": True}}))
    chosen: tuple[str | Path, ...] = ()
    if result.recipe:
        recipe.write_text(result.recipe, encoding="utf-8")
        chosen = ("--recipe", recipe)
    elif learner == "sgd":
        nightcast("recipe", data, "--schema", schema, *trains, "--strict", "-o", recipe)
        chosen = ("--recipe", recipe)
    nightcast(
        "train", data, "--schema", schema, *trains, *chosen, "--learner", learner, "--seed", str(seed), "-o", model
    )
    found = json.loads(nightcast("evaluate", model, data, "--schema", schema, *evaluates, "--json"))
    return next(iter(found["performanceMetrics"].values())), next(iter(found["baseline"].values()))


def number(value: float) -> str:
    """Four significant digits, whole above 1,000.

    Examples
    --------
    >>> number(0.94333), number(29853.25)
    ('0.9433', '29,853')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def given_data(texts: list[str]) -> dict[str, tuple[Path, str]]:
    """Files and targets by name of the data; the target is empty where the usual one is meant."""
    known = {result.data for result in RESULTS}
    found = {}
    for text in texts:
        name, _, place = text.partition("=")
        file, _, target = place.partition(":")
        if name not in known or not Path(file).is_file():
            sys.exit(
                f"--data {text}: give NAME=FILE[:TARGET] with a file that exists; names: {', '.join(sorted(known))}"
            )
        found[name] = (Path(file).absolute(), target)
    return found


def main() -> None:
    """Print a line for each published result whose data are there, and the names of the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of the data; all that there are by default")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=FILE[:TARGET]")
    parser.add_argument("--learners", nargs="+", default=list(LEARNERS), choices=[*LEARNERS, "boosting"])
    parser.add_argument("--seeds", type=int, default=3, help="random splits (3)")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - {result.data for result in RESULTS})
    if unknown:
        parser.error(f"no results of {', '.join(unknown)} were published")
    print(f"{'data':10}{'metric':10}{'service':>18}{'baseline':>10}", *(f"{one:>10}" for one in options.learners))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = {"iris": (write_iris(folder), ""), "sine": (write_sine(folder), ""), **given_data(options.data)}
        for result in RESULTS:
            if result.data in files and (not options.names or result.data in options.names):
                print_line(result, *files[result.data], options, folder)
    absent = sorted({result.data for result in RESULTS} - set(files))
    if absent and not options.names:
        print(f"not there, name their files with --data: {', '.join(absent)}")


def print_line(result: Published, data: Path, target: str, options: argparse.Namespace, folder: Path) -> None:
    """Measure, and print means over the seeds."""
    if target:
        result = Published(**{**vars(result), "target": target})
    print(f"{result.data:10}{METRICS[result.kind]:10}{result.service:>18}", end="", flush=True)
    for place, learner in enumerate(options.learners):
        runs = [measured(result, data, learner, seed, folder) for seed in range(options.seeds)]
        metric, baseline = np.mean(runs, axis=0)
        print("" if place else f"{number(baseline):>10}", end="")
        print(f" {number(metric):>10}", end="", flush=True)
    print(f"   {result.note}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
