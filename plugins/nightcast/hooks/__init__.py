"""Airflow hooks: what the connections say."""
