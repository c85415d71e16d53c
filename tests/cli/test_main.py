from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest

from nightcast import __version__, cli
from nightcast.cli import main, show
from nightcast.errors import DatasourceError

HEAVY = ("numpy", "pandas", "pyarrow", "boto3", "airflow", "rich", "jinja2", "scipy", "sklearn")


def given(monkeypatch, action):
    """Let ``nightcast show`` do something else."""
    monkeypatch.setattr(show, "run", action)
    return ["show", "x"]


def raising(error):
    def run(options):
        raise error

    return run


def test_wrong_usage_exits_with_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["display"])
    assert ended.value.code == 2
    assert "invalid choice: 'display'" in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["0", "-1", "many"])
def test_workers_are_a_number_from_1(workers, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["insights", "x", "--workers", workers])
    assert ended.value.code == 2
    assert "--workers" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"nightcast {__version__}\n"


def test_an_expected_error_is_one_line(monkeypatch, capsys):
    assert main(given(monkeypatch, raising(DatasourceError("part a: record 7 is bad")))) == 1
    assert capsys.readouterr() == ("", "nightcast: part a: record 7 is bad\n")


def test_a_bug_keeps_its_traceback(monkeypatch):
    with pytest.raises(ZeroDivisionError):
        main(given(monkeypatch, raising(ZeroDivisionError())))


def test_an_interrupt_exits_with_130(monkeypatch, capsys):
    assert main(given(monkeypatch, raising(KeyboardInterrupt()))) == 130
    assert capsys.readouterr().err == "nightcast: interrupted\n"


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(monkeypatch, capsys):
    def run(options):
        warnings.warn("the key variables is old", stacklevel=2)
        print("done")

    before = warnings.showwarning
    assert main(given(monkeypatch, run)) == 0
    assert capsys.readouterr() == ("done\n", "nightcast: warning: the key variables is old\n")
    assert warnings.showwarning is before


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from nightcast.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert "COMMAND" in done.stdout


def test_a_closed_pipe_is_no_error(tmp_path):
    data = tmp_path / "many.csv"
    names = ",".join(f"attribute{place}" for place in range(500))
    data.write_text(names + "\n" + "\n".join(",".join(f"{row}.5" for _ in range(500)) for row in range(20)) + "\n")
    command = [sys.executable, "-m", "nightcast.cli", "schema", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def environment():
    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(os.path.dirname(cli.__file__)))}
