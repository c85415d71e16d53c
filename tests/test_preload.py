from __future__ import annotations

import subprocess
import sys

from nightcast.preload import LIBRARIES, preload

# In a process of its own, as a scheduler is: what is loaded, and what a fork of it can do.
SCRIPT = """
import os, socket, sys
from nightcast.preload import preload
assert "numpy" not in sys.modules
opened = os.listdir("/proc/self/fd")
assert preload(["airflow", "scheduler", "--skip-serve-logs"]) > 100
assert os.listdir("/proc/self/fd") == opened, "a file or a connection stays open"
loaded = set(sys.modules)
child = os.fork()
if child == 0:
    import numpy as np, pyarrow as pa, pyarrow.compute as pc
    from sklearn.ensemble import HistGradientBoostingRegressor
    values = np.random.default_rng(1).random((400, 400))
    HistGradientBoostingRegressor(max_iter=3).fit(values @ values, values[:, 0])
    assert pc.sum(pa.array(range(1000))).as_py() == 499500
    import nightcast.operators.train, nightcast.mlmodel.boosting_fit, nightcast.report.page
    new = {name for name in set(sys.modules) - loaded if name.startswith("nightcast.")}
    os._exit(bool(new))
assert os.waitpid(child, 0)[1] == 0
print("done")
"""


def test_a_forked_task_has_all_it_imports_and_can_compute():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("done\n"), done.stdout[-2000:] + done.stderr[-3000:]


def test_other_processes_load_nothing():
    assert preload(["airflow", "api-server"]) == 0
    assert preload(["airflow", "celery", "worker"]) > len(LIBRARIES)
