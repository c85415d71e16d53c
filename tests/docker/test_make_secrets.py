"""Secrets of the containers: made once, for those only who need them."""

from __future__ import annotations

import json
import runpy
import stat
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet


@pytest.fixture
def make(project, tmp_path):
    for folder in ("airflow", "database", "broker", "home"):
        (tmp_path / folder).mkdir()
    main = runpy.run_path(str(project / "docker" / "make_secrets.py"))["main"]
    return lambda: main(tmp_path, tmp_path / "home")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_everything_is_made_once(make, tmp_path):
    assert make() == 0
    first = contents(tmp_path)
    assert make() == 0
    assert contents(tmp_path) == first
    assert not any(text.endswith("\n") for name, text in first.items() if not name.endswith(".conf"))
    assert len(set(first.values())) == len(first) - 1  # the broker's password has two readers


def test_only_what_is_missing_is_made(make, tmp_path):
    make()
    (tmp_path / "airflow" / "jwt_secret").unlink()
    (tmp_path / "airflow" / "fernet_key").chmod(0o600)
    (tmp_path / "airflow" / "fernet_key").write_text("kept")
    before = contents(tmp_path)
    make()
    after = contents(tmp_path)
    assert after.pop("airflow/jwt_secret")
    assert after.items() <= before.items() and after["airflow/fernet_key"] == "kept"


def test_what_belongs_together_agrees(make, tmp_path):
    make()
    found = contents(tmp_path)
    database = urlsplit(found["airflow/sql_alchemy_conn"])
    assert (database.username, database.password, database.hostname) == (
        "airflow",
        found["database/password"],
        "postgres",
    )
    broker = urlsplit(found["airflow/broker_url"])
    assert (broker.password, broker.hostname, broker.port) == (found["broker/password"], "broker", 6379)
    assert f"requirepass {broker.password}\n" in found["broker/valkey.conf"]
    assert len(json.loads(found["home/passwords.json"])["admin"]) >= 16
    Fernet(found["airflow/fernet_key"])


def test_airflows_secrets_are_for_their_owner_only(make, tmp_path):
    make()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    others = {path.parent.name for path, mode in modes.items() if mode & 0o077}
    assert others == {"database", "broker"}
    assert not any(mode & 0o022 for mode in modes.values())
