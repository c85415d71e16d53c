"""Insights made by hand: one attribute of each kind."""

from __future__ import annotations

import pytest

from nightcast.datasource.insights_format import (
    BinaryInsights,
    CategoricalInsights,
    DateInsights,
    Histogram,
    Insights,
    NumericInsights,
    TextInsights,
)
from nightcast.datasource.schema import Attribute, AttributeType, Schema

NONE = "0" * 16


def price() -> NumericInsights:
    """Prices from 0 to 1,000, of which one is an outlier."""
    return NumericInsights(
        missing=5, invalid=1, min=0.0, max=1000.0, mean=12.5, std=3.25, median=10.0, zeros=2, distinct=5000,
        distinct_exact=False, quantiles=[place / 50 for place in range(1000)] + [1000.0], quantiles_exact=False,
        histogram=Histogram([20.0 * place for place in range(51)], [993, *[0] * 48, 1]),
        correlation=-0.75, mutual_information=0.5, fingerprint=NONE,
    )  # fmt: skip


def venue(*values: tuple[str, int]) -> CategoricalInsights:
    """Twelve venues, or others."""
    listed = list(values) or [("<script>", 600), ("", 200), *[(f"venue {place}", 10) for place in range(10)]]
    return CategoricalInsights(
        missing=0, distinct=len(listed), distinct_exact=True, values=listed, other=100, count_error=0,
        most_frequent=listed[0], least_frequent=listed[-1], correlation=0.25, mutual_information=0.125, dates=None,
        fingerprint=NONE,
    )  # fmt: skip


def day() -> CategoricalInsights:
    """The days of December 2008."""
    days = [f"2008-12-{1 + place * 30 // 100:02d}" for place in range(101)]
    return CategoricalInsights(
        missing=0, distinct=31, distinct_exact=True, values=[(one, 30) for one in sorted(set(days))], other=0,
        count_error=0, most_frequent=("2008-12-01", 40), least_frequent=("2008-12-31", 3), correlation=None,
        mutual_information=None, dates=DateInsights("2008-12-01", "2008-12-31", 1000, days), fingerprint=NONE,
    )  # fmt: skip


def note() -> TextInsights:
    """Notes of up to six words."""
    return TextInsights(
        missing=3, words=2000, unique_words=50, unique_words_exact=True, words_per_row=(0, 6), word_length=(2, 11),
        tokens=[("gala,", 500), ("Night", 250)], unique_tokens=60, unique_tokens_exact=True, count_error=0,
        correlation=0.5, mutual_information=0.25, prominent=[("Night", 250, 0.0625), ("gala,", 500, 0.03125)],
        dates=None, fingerprint=NONE,
    )  # fmt: skip


def promo() -> BinaryInsights:
    """An eighth is true."""
    return BinaryInsights(
        true=125, false=875, missing=0, invalid=0, correlation=None, mutual_information=None, fingerprint=NONE
    )


@pytest.fixture
def some_insights() -> Insights:
    """1,000 records, and three bad ones; the target is ``promo``."""
    attributes = {"price": price(), "venue": venue(), "day": day(), "note": note(), "promo": promo()}
    return Insights(1000, 3, "promo", attributes, records_seen=1003)


@pytest.fixture
def some_schema(some_insights: Insights) -> Schema:
    """The schema of `some_insights`."""
    attributes = (Attribute(name, AttributeType(found.type)) for name, found in some_insights.attributes.items())
    return Schema(tuple(attributes), target="promo", excluded=("day",))
