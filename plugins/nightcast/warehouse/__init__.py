"""Redshift: the text of UNLOAD statements, and the manifests that they leave on S3."""
