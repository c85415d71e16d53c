"""docker-compose.yaml by its form; `make test-compose` runs it."""

from __future__ import annotations

import re

import pytest
import yaml

ENDING = {"secrets", "migrate", "sample"}


@pytest.fixture(scope="module")
def text(project):
    return (project / "docker-compose.yaml").read_text()


@pytest.fixture(scope="module")
def services(text):
    return yaml.safe_load(text)["services"]


def test_the_services_are_those_of_the_document(services, project):
    page = (project / "docs" / "deployment.md").read_text()
    table = "".join(re.findall(r"^\| (`.*?) \|", page.partition("## Services")[2].partition("\n## ")[0], re.MULTILINE))
    assert set(re.findall(r"`([a-z-]+)`", table)) == set(services)


def test_ports_are_bound_to_this_machine_only(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_service_is_limited_and_watched(services):
    for name, service in services.items():
        assert service["mem_limit"] and service["cap_drop"] == ["ALL"], name
        assert service["restart"] == ("no" if name in ENDING else "unless-stopped"), name
        assert ("healthcheck" in service) == (name not in ENDING), name
        binds = [volume for volume in service["volumes"] if volume.startswith("./")]
        assert all(volume.endswith(":ro") for volume in binds), name


def test_images_are_pinned_to_a_series(services, project):
    named = [service["image"] for service in services.values() if "build" not in service]
    named += re.findall(r"^FROM (\S+:\S+)", (project / "Dockerfile").read_text(), re.MULTILINE)
    assert len(named) == 3
    assert all(re.fullmatch(r"[a-z/]+:\d[\d.]*-[a-z-]+", image) for image in named)


def test_every_setting_is_documented_with_its_default(text, project):
    page = (project / "docs" / "deployment.md").read_text()
    settings = dict(re.findall(r"\$\{(NIGHTCAST_\w+):-([^}]+)\}", text))
    assert len(settings) >= 6
    assert [name for name, default in settings.items() if f"`{name}`" not in page or f"`{default}`" not in page] == []


def test_only_compose_1_29s_forms_of_variables_are_used(text):
    forms = re.findall(r"\$\{\w+(\W*)", text)
    assert forms and set(forms) <= {":-", "-"}


def test_nothing_secret_is_in_the_file(text):
    assert not re.search(r"(PASSWORD|KEY|SECRET|CONN|BROKER_URL):", re.sub(r"AIRFLOW_CONN_\w+:", "", text))
