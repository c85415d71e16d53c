"""What Airflow's UI shows of Nightcast. The scanner imports this file in every process: keep it light."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class NightcastPlugin(AirflowPlugin):
    """Registers Nightcast with Airflow."""

    name = "nightcast"
