"""A local AWS: S3, STS and IAM by moto, and a Redshift Data API whose statements really run, on DuckDB.

Used by tests and by ``make``; nothing in the product imports it.
"""
