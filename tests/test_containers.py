"""Dockerfile and compose.yaml against the project: what they name is there."""

import fnmatch
import re
import tomllib
from typing import Any

from ruamel.yaml import YAML

from tests.conftest import PROJECT

DOCKERFILE = (PROJECT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = YAML(typ="safe").load((PROJECT / "compose.yaml").read_text())


def test_the_image_has_what_the_installation_needs() -> None:
    copied = {name for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]}
    assert all((PROJECT / name).exists() for name in copied)
    let_through = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_through
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    packages = [pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    assert {*packages, "pyproject.toml", "constraints.txt", project["project"]["readme"]} <= copied


def test_the_image_installs_extras_and_the_uv_of_this_project() -> None:
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r"'\.\[([a-z,]+)\]'", DOCKERFILE)
    assert set(named.split(",")) <= extras.keys() - {"dev"}
    (uv,) = re.findall(r"uv==([\d.]+)", DOCKERFILE)
    assert f"UV_VERSION := {uv}\n" in (PROJECT / "Makefile").read_text()


def test_every_service_listens_on_the_loopback_of_its_host() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["network_mode"] == "host", name
        assert "ports" not in service, name
        words = " ".join(service["command"])
        assert "0.0.0.0" not in words, name  # noqa: S104  # that is what must not be
        if service["image"] != "coronet":
            assert fnmatch.fnmatch(words, "*=127.0.0.1*"), name


def test_passwords_come_from_outside_the_file() -> None:
    services = COMPOSE["services"]
    given = [
        services["postgres"]["environment"]["POSTGRES_PASSWORD"],
        services["mlflow"]["environment"]["AWS_SECRET_ACCESS_KEY"],
        *re.findall(r'"secretKey": "([^"]*)"', COMPOSE["configs"]["s3"]["content"]),
        *re.findall(r"//postgres:(.*?)@", (PROJECT / "compose.yaml").read_text()),
    ]
    assert len(given) == 5
    assert all(re.fullmatch(r"\$\{[A-Z0-9_]+(:\?[^}]*)?\}", value) for value in given), given
