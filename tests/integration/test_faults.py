"""Faults around a run: full disks, tracking servers, an empty cache, hang-ups, a wrong clock, other users.

Each time one command completes the run, the weights are those of an undisturbed one, and nothing is left running.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from tests.integration.conftest import LIGHT, Project, copy_of
from tests.integration.hosts import HTTP, Host, end_group, runs_in, served_mlflow
from tests.integration.small_disk import disk_in_memory, mount

pytestmark = [pytest.mark.integration, pytest.mark.slow]
WEIGHTS = [f"models/{name}.safetensors" for name in ("autoencoder_healthy", "autoencoder_pneumonia", "cin")]
FILLED = ("build_split", "train_autoencoder@healthy", "materialize_residuals", "train_cin", "evaluate", "explain")
LARGE = "1g"
USER, OTHER_USER, GROUP = 65534, 1, 65534  # nobody and daemon: DVC asks for their names
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv, to run as ordinary users"
)


def weights(project: Project) -> list[bytes]:
    return [(project.folder / name).read_bytes() for name in WEIGHTS]


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A finished project in which `train_cin` has to be run again."""
    project = copy_of(finished, tmp_path / "home" / "coronet")
    project.forget("train_cin")
    return project


def assert_one_command_completes(project: Project, finished: Project, *command: str, store: str = "") -> None:
    again = project.run(*command)
    assert again.returncode == 0, again.stdout
    assert weights(project) == weights(finished)
    assert "Data and pipelines are up to date." in project.run("dvc", "status").stdout
    runs = runs_in(store or f"sqlite:///{project.folder}/mlflow.db")
    assert runs
    assert [run.info.run_name for run in runs if run.info.status == "RUNNING"] == []


def wait_for(process: "subprocess.Popen[str]", words: str) -> None:
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if words in line:
            return
    pytest.fail(f"no {words!r} in:\n{''.join(lines)}")


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


@dataclass
class Faulty:
    """A tracking server that answers every request with 500, or not at all."""

    is_silent: bool
    n_requests: int = 0

    def serve(self) -> ThreadingHTTPServer:
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                faulty.n_requests += 1
                if faulty.is_silent:
                    time.sleep(3)  # the client waits 1 s
                else:
                    self.send_error(500)

            do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815  # named by the library

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


@pytest.mark.parametrize("is_silent", [False, True], ids=["answers 500", "does not answer"])
def test_a_tracking_server_that_fails_costs_no_run(project: Project, finished: Project, *, is_silent: bool) -> None:
    faulty = Faulty(is_silent)
    server = faulty.serve()
    before = len(runs_in(f"sqlite:///{project.folder}/mlflow.db"))
    variables = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server.server_port}"}
    variables |= {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
    run = Host(project.folder, variables).run("dvc", "repro")
    server.shutdown()
    server.server_close()
    assert run.returncode == 0, run.stdout
    assert faulty.n_requests > 0
    assert "MLflow cannot be reached" in run.stdout
    assert weights(project) == weights(finished)
    project.forget("evaluate")
    assert_one_command_completes(project, finished, "dvc", "repro")
    store = f"sqlite:///{project.folder}/mlflow.db"
    assert len(runs_in(store)) == before + 2  # train_cin's record was kept


@contextmanager
def slowed(address: str, wait_s: float) -> Iterator[str]:
    """The address of a server that answers what the one at `address` does, `wait_s` later."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            time.sleep(wait_s)
            answer = HTTP.request(self.command, address + self.path, content=body, headers=dict(self.headers))
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815  # named by the library

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_tracking_server_that_is_slow(project: Project, finished: Project, tmp_path: Path) -> None:
    with served_mlflow(tmp_path / "mlflow") as (address, _), slowed(address, 0.5) as slow:
        host = Host(project.folder, {"MLFLOW_TRACKING_URI": slow})
        assert_one_command_completes(host, finished, "dvc", "repro", store=address)
        (run,) = (run for run in runs_in(address) if run.info.run_name == "train_cin")
        history = MlflowClient(address).get_metric_history(run.info.run_id, "validation_loss")
    assert [metric.step for metric in history] == [1, 2]


def test_a_tracking_server_that_loses_its_database(project: Project, finished: Project, tmp_path: Path) -> None:
    with served_mlflow(tmp_path / "mlflow") as (address, server):
        host = Host(project.folder, {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
        with host.start("dvc", "repro") as process:
            wait_for(process, "epoch 1/2")
            server.kill()
            (tmp_path / "mlflow" / "mlflow.db").unlink()
            server.start()
            output, _ = process.communicate()
        assert process.returncode == 0, output
        host.forget("evaluate")
        assert_one_command_completes(host, finished, "dvc", "repro", store=address)


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
    for command, reason in ((("flows", "run"), "may not be written"), (("tasks", "train_cin"), "Permission denied")):
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
