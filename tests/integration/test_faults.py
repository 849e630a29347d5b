"""Faults around a run: full disks, an empty cache, hang-ups, a wrong clock, other users.

Each time one command completes the run, the weights are those of an undisturbed one, and nothing is left running.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import LIGHT, Project, copy_of
from tests.integration.hosts import Host, end_group, wait_for
from tests.integration.recovery import assert_one_command_completes, project_without_cin
from tests.integration.small_disk import disk_in_memory, mount

pytestmark = [pytest.mark.integration, pytest.mark.slow]
FILLED = ("build_split", "train_autoencoder@healthy", "materialize_residuals", "train_cin", "evaluate", "explain")
LARGE = "1g"
USER, OTHER_USER, GROUP = 65534, 1, 65534  # nobody and daemon: DVC asks for their names
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to run as ordinary users"
)


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return project_without_cin(finished, tmp_path / "home" / "coronet")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory."""
    with disk_in_memory(tmp_path / "disk", LARGE):
        yield tmp_path / "disk"


def test_a_disk_that_is_full_at_any_stage(disk: Path, finished: Project) -> None:
    project = copy_of(finished, disk / "coronet")
    assert project.run("flows", "models", "list").returncode == 0  # it has been moved
    for stage in FILLED:
        project.forget(stage)
    mount(disk, "remount", f"size={shutil.disk_usage(disk).used}")
    for stage in FILLED:
        full = project.run("tasks", *stage.split("@"))
        assert full.returncode == 1, full.stdout
        assert "error: the disk is full" in full.stdout
        assert "Traceback" not in full.stdout
    mount(disk, "remount", f"size={LARGE}")
    assert_one_command_completes(project, finished, "dvc", "repro")


def test_an_empty_cache(project: Project, finished: Project) -> None:
    project.set_params(LIGHT)
    shutil.rmtree(project.folder / ".dvc" / "cache")
    shutil.rmtree(project.folder / "models")
    assert_one_command_completes(project, finished, "dvc", "repro")


@pytest.fixture
def hang_ups_count() -> Iterator[None]:
    """SIGHUP as it is by default: under `nohup`, which programs hand on, it would be ignored."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


@pytest.mark.usefixtures("hang_ups_count")
def test_a_terminal_that_hangs_up(project: Project, finished: Project) -> None:
    with project.start("flows", "run", start_new_session=True) as flow:
        wait_for(flow, "epoch 1/2")
        children = psutil.Process(flow.pid).children(recursive=True)
        os.killpg(flow.pid, signal.SIGHUP)
        output, _ = flow.communicate(timeout=120)
    assert flow.returncode != 0
    assert "Traceback" not in output
    assert psutil.wait_procs(children, 30)[1] == []
    assert_one_command_completes(project, finished, "flows", "run")


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime, which is not on the path")
def test_a_clock_that_is_set_back_by_an_hour(project: Project, finished: Project) -> None:
    with project.start("dvc", "repro", start_new_session=True) as process:
        wait_for(process, "epoch 1/2")
        end_group(process, signal.SIGKILL)
    command = ["faketime", "-m", "-f", "-1h", "dvc", "repro"]
    again = subprocess.run(
        command, cwd=project.folder, env=project.environment, capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert "resuming after epoch 1 of 2" in again.stdout + again.stderr
    assert_one_command_completes(project, finished, "dvc", "repro")


@dataclass(frozen=True)
class UserProject(Host):
    """A project of an ordinary user, who may write what is theirs or their group's.

    They may read everything: this Python may lie in root's home.
    """

    user: int = USER

    def start(self, *module_and_arguments: str, start_new_session: bool = False) -> "subprocess.Popen[str]":
        identity = ["setpriv", "--reuid", str(self.user), "--regid", str(GROUP), "--clear-groups"]
        reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        return subprocess.Popen(
            [*identity, *reading, sys.executable, "-m", *module_and_arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            umask=0o002,
            start_new_session=start_new_session,
        )


def own(folder: Path, user: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, GROUP, follow_symlinks=False)


@pytest.fixture
def homes() -> Iterator[Path]:
    """A folder that ordinary users can get to, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="homes-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def user_project(finished: Project, home: Path, user: int) -> UserProject:
    project = UserProject(copy_of(finished, home / "coronet").folder, user=user)
    project.forget("train_cin")
    own(home, user)
    return project


@needs_root
def test_a_read_only_project_of_an_ordinary_user(finished: Project, homes: Path) -> None:
    project = user_project(finished, homes / "user", USER)
    folders = [path for path in (project.folder, *project.folder.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    for command, reason in ((("flows", "run"), "not writable"), (("tasks", "train_cin"), "Permission denied")):
        refused = project.run(*command)
        assert refused.returncode == 1, refused.stdout
        assert "Traceback" not in refused.stdout
        assert f"{reason}. Change" in refused.stdout
    for folder in folders:
        folder.chmod(0o755)
    assert_one_command_completes(project, finished, "dvc", "repro")


@needs_root
def test_two_users_on_one_cache(finished: Project, homes: Path) -> None:
    projects = [user_project(finished, homes / str(user), user) for user in (USER, OTHER_USER)]
    cache = homes / "cache"
    shutil.copytree(projects[0].folder / ".dvc" / "cache", cache)
    own(cache, USER)
    for path in (cache, *cache.rglob("*")):
        path.chmod(0o2775 if path.is_dir() else 0o444)
    for project in projects:
        shutil.rmtree(project.folder / ".dvc" / "cache")
        settings = project.folder / ".dvc" / "config.local"
        settings.write_text(f"[cache]\n    dir = {cache}\n    shared = group\n")
        os.chown(settings, project.user, GROUP)
    running = [project.start("dvc", "repro") for project in projects]
    for process in running:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    for project in projects:
        assert_one_command_completes(project, finished, "dvc", "repro")
