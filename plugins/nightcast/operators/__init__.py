"""Airflow operators, one a file, thin: resolve inputs, call one stage function, store the artifact."""
