"""Amazon ML's five checks of an evaluation. They warn, and do not fail it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nightcast.datasource.parts import Datasource
from nightcast.datasource.rearrangement import Rearrangement
from nightcast.evaluation.binary_metrics import BinarySums
from nightcast.evaluation.metrics import RegressionSums
from nightcast.evaluation.multiclass_metrics import MulticlassSums
from nightcast.mlmodel.model import MLModel
from nightcast.mlmodel.train import datasource_digest

_ENOUGH = 0.1
# Amazon ML documented no test. These differences matter to a reader, and do not depend on the number of records.
_MEAN_SHIFT, _SPREAD_RATIO = 0.25, 1.5
# Of classes: half the sum of the differences of their shares.
_CLASS_SHIFT = 0.1
Sums = RegressionSums | BinarySums | MulticlassSums


def evaluation_alerts(
    model: MLModel, datasource: Datasource, rearrangement: Rearrangement, sums: Sums, failed: int
) -> list[dict[str, str]]:
    """The checks that are not passed, each with its name and what was found, in the order of Amazon ML's guide.

    Parameters
    ----------
    datasource, rearrangement
        What is evaluated on.
    sums
        Metrics over the records that could be evaluated.
    failed
        Number of records that could not.
    """
    training = model.training
    found = {
        "HELD_OUT_DATA": _not_held_out(training, datasource, rearrangement),
        "ENOUGH_DATA": _too_few(training, sums.records),
        "SCHEMA_MATCH": _other_schema(model, datasource),
        "ALL_RECORDS_USED": f"{failed:,} record(s) could not be evaluated" if failed else "",
        "TARGET_DISTRIBUTION": _other_targets(training, sums),
    }
    return [{"check": check, "message": message} for check, message in found.items() if message]


def _not_held_out(training: Mapping[str, Any], datasource: Datasource, rearrangement: Rearrangement) -> str:
    trained = Rearrangement.from_json(json.dumps(training["rearrangement"]))
    same = training.get("datasource", {}).get("digest") == datasource_digest(datasource)
    if not same or not _share_records(trained, rearrangement):
        return ""
    return "records of the evaluation were trained on; evaluate on the complement of the training's data rearrangement"


def _share_records(first: Rearrangement, second: Rearrangement) -> bool:
    if (first.strategy, first.seed, first.attribute) != (second.strategy, second.seed, second.attribute):
        # Two ways of splitting are independent of each other.
        return True
    return any(max(a, c) < min(b, d) for a, b in _ranges(first) for c, d in _ranges(second))


def _ranges(taken: Rearrangement) -> list[tuple[int, int]]:
    inside = (taken.percent_begin, taken.percent_end)
    return [(0, inside[0]), (inside[1], 100)] if taken.complement else [inside]


def _too_few(training: Mapping[str, Any], records: int) -> str:
    if records >= _ENOUGH * training["records"]:
        return ""
    return f"{records:,} records are fewer than 10 % of the {training['records']:,} training records"


def _other_schema(model: MLModel, datasource: Datasource) -> str:
    trained, here = set(model.schema.names), set(datasource.schema.names)
    changes = [f"missing: {', '.join(sorted(trained - here))}"] if trained - here else []
    changes += [f"added: {', '.join(sorted(here - trained))}"] if here - trained else []
    return "; ".join(changes)


def _other_targets(training: Mapping[str, Any], sums: Sums) -> str:
    if isinstance(sums, RegressionSums):
        return _other_numbers(training, sums)
    trained: dict[str, int] = training["classCounts"]
    found = _class_counts(sums)
    total, here = sum(trained.values()), sum(found.values())
    shifts = {name: found.get(name, 0) / here - trained.get(name, 0) / total for name in {*trained, *found}}
    if sum(abs(shifts[name]) for name in sorted(shifts)) / 2 <= _CLASS_SHIFT:
        return ""
    most = max(sorted(shifts), key=lambda name: abs(shifts[name]))
    now, then = found.get(most, 0) / here, trained.get(most, 0) / total
    return f"class {most!r} is {now:.1%} of the records here, and {then:.1%} in training"


def _class_counts(sums: BinarySums | MulticlassSums) -> dict[str, int]:
    true = sums.confusion.sum(axis=1).tolist()
    names = ("0", "1") if isinstance(sums, BinarySums) else (*sums.classes, "(unknown)")
    return dict(zip(names, true, strict=True))


def _other_numbers(training: Mapping[str, Any], sums: RegressionSums) -> str:
    deviation, trained = sums.targets.deviation, training["targetStd"]
    if deviation is None or trained is None:
        return ""
    shifted = abs(sums.targets.mean - training["targetMean"]) > _MEAN_SHIFT * trained
    wider = max(deviation, trained) > _SPREAD_RATIO * min(deviation, trained)
    if not (shifted or wider):
        return ""
    return (
        f"the target has mean {sums.targets.mean:.6g} and deviation {deviation:.6g} here, "
        f"{training['targetMean']:.6g} and {trained:.6g} in training"
    )
