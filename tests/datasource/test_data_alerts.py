from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nightcast.datasource.data_alerts import DataAlert, alerts_json, data_alerts
from nightcast.datasource.insights import compute_insights
from nightcast.datasource.insights_format import Insights
from nightcast.datasource.parts import Datasource
from nightcast.datasource.schema import Attribute, AttributeType, Schema

SIZE = 1000
TYPES = {"n": "NUMERIC", "c": "CATEGORICAL", "t": "TEXT", "b": "BINARY"}
rng = np.random.default_rng(7)
NOISE = rng.normal(0, 1, SIZE)

Alerts = Callable[..., list[DataAlert]]


@pytest.fixture
def alerts(write_parts: Callable[..., Datasource], files: Any) -> Alerts:
    """Alerts about columns whose names begin with their type's first letter."""

    def alerts(
        *, target: str | None = None, row_id: str | None = None, excluded: Sequence[str] = (), **columns: Any
    ) -> list[DataAlert]:
        attributes = tuple(Attribute(name, AttributeType(TYPES[name[0]])) for name in columns)
        schema = Schema(attributes, target=target, row_id=row_id, excluded=tuple(excluded))
        return data_alerts(compute_insights(write_parts(schema, pa.table(columns)), files), schema)

    return alerts


def seen(found: Sequence[DataAlert]) -> list[tuple[str, ...]]:
    return [(alert.code, *alert.attributes) for alert in found]


def test_ordinary_columns_raise_none(alerts: Alerts) -> None:
    found = alerts(
        n_price=np.round(rng.gamma(3, 20, SIZE), 2),
        n_seats=rng.integers(0, 5, SIZE).astype(float),
        c_venue=[f"v{number}" for number in rng.integers(0, 40, SIZE)],
        t_note=[f"word{first} {second}" for first, second in rng.integers(0, 900, (SIZE, 2))],
        b_promo=rng.random(SIZE) < 0.2,
        n_sold=NOISE,
        target="n_sold",
    )

    assert found == []


@pytest.mark.parametrize(
    "column",
    [
        {"n": np.full(SIZE, 3.0)},
        {"b": np.ones(SIZE, dtype=bool)},
        {"c": ["x"] * SIZE},
        {"t": ["the same words"] * SIZE},
    ],
)
def test_a_constant_is_noted(alerts: Alerts, column: dict[str, Any]) -> None:
    [alert] = alerts(**column)

    assert (alert.code, alert.severity) == ("CONSTANT", "note")
    assert alert.attributes == tuple(column)
    assert "exclude it" in alert.message


@pytest.mark.parametrize(
    "column",
    [
        {"c": ["x", None] * (SIZE // 2)},
        {"b": [True, None] * (SIZE // 2)},
        {"n": [3.0, None] * (SIZE // 2)},
        {"t": ["vip", None] * (SIZE // 2)},
    ],
)
def test_one_value_or_missing_is_no_constant(alerts: Alerts, column: dict[str, Any]) -> None:
    [alert] = alerts(**column)

    assert (alert.code, alert.severity, alert.attributes) == ("ONE_VALUE", "note", tuple(column))
    assert "one value or missing (500 of 1,000): only its presence can tell something" in alert.message


def test_a_text_with_one_token_in_some_records_is_no_constant(alerts: Alerts) -> None:
    assert alerts(t=["vip", ""] * (SIZE // 2), t_again=["a a", "a"] * (SIZE // 2)) == []


@pytest.mark.parametrize(("missing", "expected"), [(899, []), (900, ["MOSTLY_MISSING"]), (1000, ["MOSTLY_MISSING"])])
def test_nine_of_ten_missing_cells_are_too_many(alerts: Alerts, missing: int, expected: list[str]) -> None:
    found = alerts(n=pa.array(NOISE, mask=np.arange(SIZE) < missing))

    assert [alert.code for alert in found] == expected
    assert all(alert.severity == "warning" and f"{missing:,} of 1,000" in alert.message for alert in found)


@pytest.mark.parametrize(("invalid", "expected"), [(9, []), (10, [("MANY_INVALID", "n")])])
def test_one_invalid_cell_in_a_hundred_is_too_many(
    write_csv: Callable[..., Datasource], files: Any, invalid: int, expected: list[Any]
) -> None:
    schema = Schema((Attribute("n", AttributeType.NUMERIC),))
    text = "".join("oops\n" if number < invalid else f"{number % 7}\n" for number in range(SIZE))
    insights = compute_insights(write_csv(schema, text, records=[SIZE]), files)

    assert seen(data_alerts(insights, schema)) == expected


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("c_order", [f"o-{number}" for number in range(SIZE)], True),
        ("t_order", [f"o-{number}" for number in range(SIZE)], True),
        ("t_note", [f"about o-{number}" for number in range(SIZE)], False),
        ("c_time", [f"2008-12-{1 + n // 60:02} 10:{n % 60:02}:00" for n in range(SIZE)], False),
        ("n", rng.permutation(SIZE) * 1.0 + 5000, True),
        ("n", np.cumsum(rng.integers(1, 3, SIZE)) * 1.0, True),
        ("n", NOISE, False),
        ("n_amount", np.cumsum(rng.integers(1, 900, SIZE)) * 1.0, False),
        ("n_orderid", np.cumsum(rng.integers(1, 900, SIZE)) * 1.0, True),
        ("n_customer_id", np.arange(SIZE) // 2 * 1.0, False),
    ],
)
def test_names_of_records_are_told_from_measurements(alerts: Alerts, name: str, column: Any, expected: bool) -> None:
    assert (("ID_LIKE", name) in seen(alerts(**{name: column}))) is expected


def test_a_row_id_may_name_records(alerts: Alerts) -> None:
    assert alerts(c=[str(number) for number in range(SIZE)], row_id="c") == []


def test_few_records_that_all_differ_are_no_surprise(alerts: Alerts) -> None:
    assert alerts(c=[str(number) for number in range(50)], n=np.arange(50.0)) == []


@pytest.mark.parametrize(("values", "expected"), [(100, []), (101, ["HIGH_CARDINALITY"]), (900, ["HIGH_CARDINALITY"])])
def test_less_than_ten_records_a_value_are_too_few(alerts: Alerts, values: int, expected: list[str]) -> None:
    found = alerts(c=[f"v{number % values}" for number in range(SIZE)])

    assert [alert.code for alert in found] == expected


def test_a_copy_of_the_target_leaks(alerts: Alerts) -> None:
    near, far = (NOISE + rng.normal(0, spread, SIZE) for spread in (0.05, 0.3))
    found = alerts(n_sum=NOISE * 2 + 1, n_near=near, n_far=far, n_sold=NOISE, target="n_sold")

    assert seen(found) == [("LEAK_LIKE", "n_sum"), ("LEAK_LIKE", "n_near")]
    assert "known only afterwards" in found[0].message


@pytest.mark.parametrize("kind", ["c_sold", "b_sold"])
def test_an_attribute_that_tells_the_class_leaks(alerts: Alerts, kind: str) -> None:
    sold = rng.random(SIZE) < 0.3
    target = sold if kind == "b_sold" else np.where(sold, "yes", "no").tolist()
    found = alerts(c_state=np.where(sold, "paid", "open").tolist(), n_noise=NOISE, target=kind, **{kind: target})

    assert seen(found) == [("LEAK_LIKE", "c_state")]


def test_copies_are_told_once_with_all_their_names(alerts: Alerts) -> None:
    found = alerts(n_a=NOISE, n_b=NOISE, n_c=NOISE + 1, c_x=["u", "v"] * 500, n_d=NOISE, c_y=["u", "v"] * 500)

    assert seen(found) == [("DUPLICATE", "n_a", "n_b", "n_d"), ("DUPLICATE", "c_x", "c_y")]
    assert all(alert.severity == "note" for alert in found)


def test_a_copy_of_the_target_is_a_warning_and_one_among_excluded_ones_is_nothing(alerts: Alerts) -> None:
    found = alerts(n_sold=NOISE, n_copy=NOISE, c_a=["u", "v"] * 500, c_b=["u", "v"] * 500, target="n_sold",
                   excluded=("n_copy", "c_a", "c_b"))  # fmt: skip
    assert found == []

    used = alerts(n_sold=NOISE, n_copy=NOISE, target="n_sold")
    assert seen(used) == [("LEAK_LIKE", "n_copy"), ("DUPLICATE", "n_sold", "n_copy")]
    assert used[1].severity == "warning"


def test_excluded_attributes_raise_none_by_themselves_and_with_a_copy_in_use_they_do(alerts: Alerts) -> None:
    assert alerts(n=np.full(SIZE, 1.0), n_x=NOISE, excluded=("n",)) == []
    assert seen(alerts(n_kept=NOISE, n_left_out=NOISE, excluded=("n_left_out",))) == [
        ("DUPLICATE", "n_kept", "n_left_out")
    ]


def test_constants_are_no_duplicates(alerts: Alerts) -> None:
    found = alerts(n_a=np.full(SIZE, 1.0), n_b=np.full(SIZE, 1.0), n_c=pa.nulls(SIZE, pa.float64()),
                   n_d=pa.nulls(SIZE, pa.float64()))  # fmt: skip

    assert {alert.code for alert in found} == {"CONSTANT", "MOSTLY_MISSING"}


@pytest.mark.parametrize(("positive", "expected"), [(10, []), (9, ["IMBALANCED_TARGET"]), (0, ["CONSTANT"])])
@pytest.mark.parametrize("kind", ["b", "c"])
def test_a_class_of_more_than_99_percent_is_imbalanced(
    alerts: Alerts, kind: str, positive: int, expected: list[str]
) -> None:
    flags = np.arange(SIZE) < positive
    found = alerts(**{kind: flags if kind == "b" else np.where(flags, "yes", "no").tolist()}, target=kind)

    assert [alert.code for alert in found] == expected
    assert all(alert.severity == "warning" for alert in found)


@pytest.mark.parametrize(("missing", "severity"), [(0, []), (9, ["note"]), (10, ["warning"])])
def test_records_without_target_are_counted(alerts: Alerts, missing: int, severity: list[str]) -> None:
    found = alerts(n_sold=pa.array(NOISE, mask=np.arange(SIZE) < missing), target="n_sold")

    assert [alert.severity for alert in found] == severity
    assert all(f"{missing} of 1,000 records ({missing / 1000:.1%})" in alert.message for alert in found)


@pytest.mark.parametrize("ids", [[str(n % 999) for n in range(SIZE)], [None, *map(str, range(SIZE - 1))], ["a"] * SIZE])
def test_a_row_id_that_does_not_name_each_record_is_a_warning(alerts: Alerts, ids: list[str | None]) -> None:
    [alert] = alerts(c=pa.array(ids, pa.string()), row_id="c")

    assert (alert.code, alert.severity) == ("ROW_ID_NOT_UNIQUE", "warning")


def test_an_estimated_number_of_row_ids_is_given_the_benefit_of_its_error(
    some_insights: Insights, some_schema: Schema
) -> None:
    names = replace(some_insights.attributes["venue"], missing=0, distinct=960, distinct_exact=False)  # type: ignore[arg-type]
    insights = replace(some_insights, attributes={"venue": names}, bad_records=0)
    schema = Schema(some_schema.attributes, row_id="venue")

    assert data_alerts(insights, schema) == []
    few = replace(insights, attributes={"venue": replace(names, distinct=940)})  # type: ignore[arg-type]
    assert seen(data_alerts(few, schema)) == [("ROW_ID_NOT_UNIQUE", "venue")]


def test_rejected_records_are_a_warning(some_insights: Insights, some_schema: Schema) -> None:
    alert = data_alerts(some_insights, some_schema)[-1]

    assert (alert.code, alert.attributes, alert.severity) == ("BAD_RECORDS", (), "warning")
    assert "3 of 1,003 records" in alert.message


def test_the_document_holds_each_alert(some_insights: Insights, some_schema: Schema) -> None:
    found = data_alerts(some_insights, some_schema)
    document = json.loads(alerts_json(found))

    assert (document["format"], document["version"]) == ("nightcast-data-alerts", 1)
    assert document["alerts"][-1] == {
        "code": "BAD_RECORDS", "attributes": [], "severity": "warning", "message": found[-1].message,
    }  # fmt: skip
    assert alerts_json([]).endswith("}\n")
