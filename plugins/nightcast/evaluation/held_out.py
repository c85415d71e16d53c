"""Records on which a challenger and an older champion can be compared: those that trained neither."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from nightcast.datasource.parts import ByteSource, Datasource, Mapper
from nightcast.datasource.rearrangement import CHRONOLOGICAL, RANDOM, Rearrangement
from nightcast.evaluation.naive_baselines import LAST_PERIOD, SEASON_AGO, NaiveBaseline
from nightcast.evaluation.text_keys import TextKey


@dataclass(frozen=True)
class Training:
    """Which records a model was trained on.

    Parameters
    ----------
    rearrangement
        Which of its datasource.
    records
        Number of records of that datasource.
    cut_off
        Its sales period's end: exclusive, UTC. No record is of this day or later.
    row_id
        Whether its records have a row id.
    """

    rearrangement: Rearrangement
    records: int
    cut_off: date
    row_id: bool = True


def champion_saw(challenger: Training, champion: Training, days: int) -> bool:
    """Whether the champion may have been trained on records that the challenger holds out.

    Of a chronological rearrangement the cuts tell. Of a sequential one numbers of records do: both datasources end at
    their cut-offs, and between these lie as many records a day as the challenger's has on average. A random one
    puts a record on the same side as long as seed and share are the same, and the record has a row id.

    Parameters
    ----------
    days
        Days of sales that the challenger's datasource holds.
    """
    mine, its = challenger.rearrangement, champion.rearrangement
    if (mine.strategy, mine.attribute) != (its.strategy, its.attribute):
        return True
    if mine.strategy == RANDOM:
        same = mine.seed == its.seed and challenger.row_id and champion.row_id
        return not (same and mine.percent_begin <= its.percent_begin and its.percent_end <= mine.percent_end)
    if mine.strategy == CHRONOLOGICAL:
        first, last = _end(challenger), _end(champion)
        return type(first) is not type(last) or last > first  # type: ignore[operator]
    between = (challenger.cut_off - champion.cut_off).days * challenger.records / max(days, 1)
    return _kept(champion) + between < _kept(challenger)


def unseen_by_champion(challenger: Training, champion: Training) -> Rearrangement | None:
    """The records after the champion's training records; None where nothing tells which these are."""
    mine, its = challenger.rearrangement, champion.rearrangement
    if mine.strategy != CHRONOLOGICAL or mine.attribute != its.attribute or mine.percent_end == 100:
        return None
    end = _end(champion)
    if type(end) is not type(_end(challenger)):
        return None
    return replace(mine, percent_begin=mine.percent_end, percent_end=100, cuts=(end, None))


def naive_baselines(
    datasource: Datasource,
    training: Rearrangement,
    key: TextKey | None,
    days: Sequence[int],
    source: ByteSource,
    mapper: Mapper = map,
) -> list[NaiveBaseline]:
    """The last period, and the same one a season ago, by key, from the datasource's own earlier records.

    Records have no days of their own here, so shares of the records stand for them: the last period is the share that a
    period has of all days, just before the held-out records; a season ago are the held-out records' days, a season
    earlier.

    Parameters
    ----------
    training
        Which records train; those behind them are held out.
    key
        What tells which records belong together; None for no such baselines.
    days
        Of the datasource, of a period, and of a season.
    """
    if key is None:
        return []
    if training.strategy == RANDOM:
        reason = "the data rearrangement is random, so that no records are the ones before"
        return [NaiveBaseline(name, key=key, reason=reason) for name in (LAST_PERIOD, SEASON_AGO)]
    total, period, season = days
    last = (max(training.percent_end - max(math.ceil(100 * period / total), 1), 0), training.percent_end)
    back = math.ceil(100 * season / total)
    ago = (training.percent_end - back, 100 - back)
    if ago[0] < 0:
        reason = f"the datasource of {total:,} days does not hold the held-out days of {season:,} days ago"
        seasonal = NaiveBaseline(SEASON_AGO, key=key, reason=reason)
    else:
        seasonal = NaiveBaseline(SEASON_AGO, key=key, actuals=datasource, taken=_part(training, ago))
    baselines = [NaiveBaseline(LAST_PERIOD, key=key, actuals=datasource, taken=_part(training, last)), seasonal]
    return [replace(one, taken=one.taken.resolved(datasource, source, mapper)) for one in baselines]


def _part(training: Rearrangement, percents: tuple[int, int]) -> Rearrangement:
    return replace(training, percent_begin=percents[0], percent_end=percents[1], complement=False, cuts=None)


def _end(training: Training) -> str | float | None:
    """Where the training records of a chronological rearrangement end, exclusive."""
    cuts = training.rearrangement.cuts
    if cuts is None or cuts[1] is None:
        return training.cut_off.isoformat()
    return cuts[1]


def _kept(training: Training) -> float:
    """Records after the training ones."""
    return training.records - training.records * training.rearrangement.percent_end // 100
