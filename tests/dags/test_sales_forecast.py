from __future__ import annotations

import pytest


@pytest.fixture
def dag(loaded):
    return loaded["dags"]["sales_forecast"]


def test_it_runs_nightly(dag):
    assert sorted(dag["tags"]) == ["forecast", "nightcast", "sales"]
    assert dag["params"]["period_length"] == "daily"
    assert dag["max_active_runs"] == 4


def test_its_row_ids_tell_series_and_day(project):
    import re
    import runpy

    task = runpy.run_path(str(project / "dags" / "sales_forecast.py"))["dag"].get_task("ml_model.compare_models")
    found = [re.search(pattern, "4337-20080606")["key"] for pattern in (task.series, task.days)]
    assert found == ["4337", "20080606"]
