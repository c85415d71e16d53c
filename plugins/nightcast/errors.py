"""Errors that a user of Nightcast can meet.

Each message says what happened, to which object, and what to do next.
"""

from __future__ import annotations


class NightcastError(Exception):
    """Root of all errors that Nightcast raises on purpose."""


class SettingsError(NightcastError):
    """A Param, a connection or a setting is missing or contradicts another."""


class PeriodError(NightcastError):
    """The sales period of a run can not be told, or is told in two ways that disagree."""


class StorageError(NightcastError):
    """An object can not be read from or written to S3 or disk."""


class MissingObjectError(StorageError):
    """An object does not exist: trying again will not help."""


class ChangedObjectError(StorageError):
    """An object is no longer what its reference was made for."""


class RetentionError(NightcastError):
    """It can not be told what may be removed, so nothing is."""


class ComputeError(NightcastError):
    """Worker processes or a Dask cluster can not be had, or are lost: trying again may help."""


class ManifestError(NightcastError):
    """An UNLOAD manifest is malformed, or does not match what lies on S3."""


class UnloadError(NightcastError):
    """An UNLOAD can not be written as a statement, or Redshift refused it."""


class SchemaError(NightcastError):
    """A schema is malformed, or does not fit the data."""


class SchemaWarning(UserWarning):
    """A schema is written in a form that Amazon ML has given up."""


class DatasourceError(NightcastError):
    """The records of a datasource can not be read."""


class RearrangementError(NightcastError):
    """A data rearrangement is malformed, or selects no records."""


class RecipeError(NightcastError):
    """A recipe is malformed, or does not fit the schema."""


class ModelError(NightcastError):
    """An ML model can not be trained, stored or loaded."""


class EvaluationError(NightcastError):
    """An ML model can not be evaluated on these records."""


class DataRefusedError(NightcastError):
    """The data are not to be learnt from, by a policy that the user has chosen."""


class PredictionError(NightcastError):
    """A batch prediction can not be made."""


class RegistryError(NightcastError):
    """A model can not be promoted, found or withdrawn."""


class PipelineError(NightcastError):
    """A new pipeline's files can not be generated."""


class DeploymentError(NightcastError):
    """What Nightcast needs on AWS can not be made, changed or removed."""


class ReportError(NightcastError):
    """A report can not be written."""
