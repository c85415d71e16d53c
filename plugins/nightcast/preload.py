"""Import what tasks need before their processes are forked, so that none of them has to.

A LocalExecutor forks its workers from the scheduler and each task from a worker; Celery's workers fork, too. What the
first process has imported, all have, in memory that they share. Airflow imports ``airflow_local_settings.py`` early in
every process, so that is where it is called:

    from nightcast.preload import preload

    preload()
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence

# Airflow's commands whose processes fork tasks, or forks that parse the DAG files.
FORKING = ("scheduler", "celery", "dag-processor")
PACKAGES = (
    "nightcast.operators",
    "nightcast.alerts",
    "nightcast.compute",
    "nightcast.warehouse",
    "nightcast.datasource",
    "nightcast.recipe",
    "nightcast.mlmodel",
    "nightcast.evaluation",
    "nightcast.prediction",
    "nightcast.registry",
    "nightcast.report",
)
# What the stages import within their functions.
LIBRARIES = (
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.operators.hitl",
    "airflow.sdk.execution_time.task_runner",
    "boto3.s3.transfer",
    "jinja2.ext",
    "scipy.sparse",
    "scipy.stats",
    "sklearn.ensemble",
)
# Of an extra that need not be installed.
_OPTIONAL = ("nightcast.compute.dask_cluster",)


def preload(arguments: Sequence[str] | None = None) -> int:
    """Import all that a run's tasks may need, if this process forks tasks.

    Importing opens no connection and no file. It starts the threads of OpenBLAS, which ends them before each fork and
    starts them again when there is something to compute, and one of pyarrow's allocator, which follows forks, too.

    Parameters
    ----------
    arguments
        The command line, ``airflow scheduler ...``; that of this process by default.

    Returns
    -------
    int
        How many modules were named; 0 in a process that forks none.
    """
    given = sys.argv if arguments is None else arguments
    if not any(command in given for command in FORKING):
        return 0
    names = [*LIBRARIES, *_stage_modules()]
    for name in names:
        importlib.import_module(name)
    return len(names)


def _stage_modules() -> Iterator[str]:
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        found = (module.name for module in pkgutil.iter_modules(path, f"{package}."))
        yield from (name for name in found if name not in _OPTIONAL)
