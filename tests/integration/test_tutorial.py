"""`docs/tutorial.md`, typed as it stands: its commands in their order, in real shells, on real servers.

Only what a reader brings is made here: the address of the repository, Python with the packages that the project needs
(a registry of packages is not asked), and the places of the servers that the page names.
"""

import csv
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient

from coronet_core.common.classes import CLASSES
from tests.conftest import PROJECT
from tests.integration.conftest import COVERED, SOURCES, SOURCES_OF_STATE, Project, commit_all
from tests.integration.hosts import running, runs_in

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(3600)]  # one fixture types all of it
PAGE = (PROJECT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
ANOTHER_TERMINAL = "# in another terminal"
PORTS = [4200, 5000, 8000, 8080]
"""Where `coronet up` and `coronet serve` listen by default."""
STRICT = ("bash", "-euo", "pipefail", "-c")


@dataclass
class Reader:
    """Somebody who types the page: in one terminal after the other, and in further ones that stay open."""

    home: Path
    variables: dict[str, str]
    terminals: ExitStack
    printed: list[str] = field(default_factory=list)
    """What each block has printed."""

    @property
    def project(self) -> Path:
        return self.home / "coronet"

    def type(self, block: str) -> None:
        """Run a block; the folder and the variables of its end are those of the next one."""
        if ANOTHER_TERMINAL in block:
            self.terminals.enter_context(running(self.project, "", *STRICT, block, **self.variables))
            self.printed.append("")
            return
        state = self.home / "shell-state"
        state.touch()
        script = f"source {state}\n{block}\n{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {state}"
        typed = subprocess.run(
            [*STRICT, script],
            cwd=self.home,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert typed.returncode == 0, f"{block}\nhas ended with {typed.returncode}:\n{typed.stdout}"
        self.printed.append(typed.stdout)

    def output_of(self, command: str) -> str:
        """What the blocks with `command` have printed."""
        return "".join(text for block, text in zip(BLOCKS, self.printed, strict=True) if command in block)


def repository(folder: Path) -> Path:
    """The project as a git repository, as it is in the working tree."""
    for name in (*SOURCES, *SOURCES_OF_STATE, "Makefile", "constraints.txt", "README.md", "LICENSE"):
        source, target = PROJECT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=COVERED)
        else:
            shutil.copy(source, target)
    commit_all(folder)
    return folder


def installed_packages(folder: Path) -> Path:
    """A folder of links to all packages of this environment but the project: what pip would have to download."""
    folder.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "coronet" not in path.name and path.suffix != ".pth":
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    if missing := [name for name in ("make", "git", "curl") if shutil.which(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}, which the page asks for")
    for port in PORTS:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                pytest.skip(f"needs port {port}, where another program listens")
    folder = tmp_path_factory.mktemp("tutorial")
    home = folder / "home"
    home.mkdir()
    packages = installed_packages(folder / "packages")
    variables = Project(home).environment | {
        "HOME": str(home),
        "CORONET": str(repository(folder / "repository")),
        "PYTHONPATH": str(packages),
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way to say so
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
    }
    with ExitStack() as terminals:
        reader = Reader(home, variables, terminals)
        for block in BLOCKS:
            reader.type(block)
        yield reader


def test_every_command_of_the_page_ends_well_in_the_environment_that_it_makes(reader: Reader) -> None:
    assert len(reader.printed) == len(BLOCKS) > 10
    assert sys.prefix not in reader.output_of("coronet doctor")
    assert (reader.project / ".venv" / "bin" / "coronet").read_text().startswith(f"#!{reader.project}/.venv/")


def test_the_model_that_was_run_is_the_champion_until_new_images_come(reader: Reader) -> None:
    listings = [text for block, text in zip(BLOCKS, reader.printed, strict=True) if "coronet models list" in block]
    assert "version 1 is the champion" in listings[0]
    assert "champion" in listings[1]
    client = MlflowClient(f"sqlite:///{reader.project}/mlflow.db")
    versions = {one.version: one for one in client.search_model_versions("name='coronet'")}
    assert len(versions) == 2
    assert {one.tags["promotion"] for one in versions.values()} <= {"promoted", "refused"}


def test_predictions_are_written_and_served(reader: Reader) -> None:
    with (reader.project / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    drawn = list((reader.project / "data" / "raw" / "xray" / "covid19").glob("*.png"))
    assert {row["predicted"] for row in rows} <= set(CLASSES)
    assert 0 < len(rows) < len(drawn)  # some were drawn later
    assert '"predicted"' in reader.output_of("/predict")


def test_runs_are_on_the_servers(reader: Reader) -> None:
    assert "Flow run finished successfully" in reader.output_of("prefect deployment run")
    runs = runs_in(f"sqlite:///{reader.project}/mlflow.db")
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 2
    assert {run.info.status for run in runs} == {"FINISHED"}
