"""Makes the secrets of docker-compose.yaml at its first start: each one that is there already stays.

They lie in volumes, one for each kind of reader, so that neither the project's folder nor a container's description
holds them. Files end without a newline, for what reads them takes every byte.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

# Postgres and the broker run as users of their own; each sees its volume only.
_OWNER_ONLY, _EVERYONE = 0o600, 0o444


def main(run: Path, home: Path) -> int:
    """Make what is missing.

    Parameters
    ----------
    run
        Holds the folders ``airflow`` (read by Airflow's services), ``database`` and ``broker``.
    home
        Airflow's home, which gets ``passwords.json`` of the SimpleAuthManager: Airflow opens it for writing.
    """
    os.umask(0o077)
    password = _kept(run / "database" / "password", _password, _EVERYONE)
    broker = _kept(run / "airflow" / "broker_password", _password, _OWNER_ONLY)
    _kept(run / "broker" / "password", lambda: broker, _EVERYONE)
    _kept(run / "broker" / "valkey.conf", lambda: f"requirepass {broker}\nappendonly yes\ndir /data\n", _EVERYONE)
    keys = {
        "fernet_key": lambda: base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "api_secret_key": _password,
        "jwt_secret": _password,
        "sql_alchemy_conn": lambda: f"postgresql+psycopg2://airflow:{password}@postgres/airflow",
        "broker_url": lambda: f"redis://:{broker}@broker:6379/0",
    }
    for name, make in keys.items():
        _kept(run / "airflow" / name, make, _OWNER_ONLY)
    _kept(home / "passwords.json", lambda: json.dumps({"admin": secrets.token_urlsafe(12)}), _OWNER_ONLY)
    return 0


def _password() -> str:
    return secrets.token_urlsafe(32)


def _kept(path: Path, make: Callable[[], str], mode: int) -> str:
    """The file's text; made first where there is none, whole or not at all."""
    if not path.exists():
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(make())
        fresh.chmod(mode)
        fresh.rename(path)
    return path.read_text()


if __name__ == "__main__":
    sys.exit(main(Path("/run/nightcast"), Path("/opt/airflow")))
