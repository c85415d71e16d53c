"""Datasource: schema, reading of parts, data rearrangement, insights."""
