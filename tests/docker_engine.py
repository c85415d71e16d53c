"""A Docker engine and Compose for the tests: those that are there, else Debian's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BASE_IMAGES = Path(__file__).resolve().parent / "compose" / "base_images.sh"
PACKAGES = ("docker.io", "docker-compose", "debootstrap", "iptables")


def run(*command: str | Path, seconds: float = 300, check: bool = True) -> str:
    """The standard output of a command; a failure shows both outputs."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=seconds)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return done.stdout


@contextmanager
def engine(folder: Path) -> Iterator[None]:
    """Have a Docker engine; one that is started here is stopped at the end."""
    if answers():
        yield
        return
    if shutil.which("dockerd") is None:
        install(*PACKAGES)
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(["dockerd"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            deadline = time.monotonic() + 60
            while not answers():
                assert daemon.poll() is None and time.monotonic() < deadline, (folder / "dockerd.log").read_text()
                time.sleep(0.5)
            yield
        finally:
            daemon.terminate()
            daemon.wait(60)


def answers() -> bool:
    """Whether a Docker engine answers this user."""
    client = shutil.which("docker")
    return client is not None and subprocess.run([client, "info"], capture_output=True).returncode == 0


def install(*packages: str) -> None:
    """Install Debian packages; needs root."""
    assert os.geteuid() == 0, f"there is no Docker engine, and only root can install {', '.join(packages)}"
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, seconds=600)


def have_base_images(project: Path) -> None:
    """Pull the images that the project's files name or, where no registry is reached, build them from Debian's."""
    text = (project / "Dockerfile").read_text() + (project / "docker-compose.yaml").read_text()
    named = set(re.findall(r"(?:^FROM |image: )((?:python|postgres|valkey/valkey):\S+)", text, re.MULTILINE))
    assert len(named) == 3, named
    missing = [tag for tag in sorted(named) if not run("docker", "images", "--quiet", tag).strip()]
    if any(subprocess.run(["docker", "pull", "--quiet", tag], capture_output=True).returncode for tag in missing):
        if shutil.which("debootstrap") is None:
            install("debootstrap")
        run(BASE_IMAGES, seconds=900)


def compose_commands(folder: Path) -> dict[int, list[str]]:
    """Compose by its major version; of 1 and 2 the one that is missing comes from Debian, if it can."""
    found: dict[int, list[str]] = {}
    for command in (["docker-compose"], ["docker", "compose"]):
        if shutil.which(command[0]):
            _add(found, command)
    if 2 not in found:
        run("docker", "run", "--rm", "--network=host", f"--volume={folder}:/out", "--workdir=/out",
            "nightcast-test/debian:trixie", "sh", "-c",
            "apt-get update -qq && apt-get download -qq docker-compose && dpkg -x docker-compose_*.deb .",
            check=False)  # fmt: skip
        plugin = folder / "usr/libexec/docker/cli-plugins/docker-compose"
        if plugin.exists():
            _add(found, [str(plugin)])
    assert found, f"install Compose: one of {PACKAGES} brings it"
    return found


def _add(found: dict[int, list[str]], command: list[str]) -> None:
    version = re.search(r"(\d+)\.\d+\.\d+", run(*command, "version", "--short", check=False))
    if version:
        found.setdefault(int(version[1]), command)
