"""Tracking servers that fail, do not answer, are slow or lose their database: no run is lost, here or there."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.integration.conftest import Project
from tests.integration.hosts import HTTP, Host, runs_in, served_mlflow, wait_for
from tests.integration.recovery import assert_one_command_completes, project_without_cin, weights

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return project_without_cin(finished, tmp_path / "home" / "coronet")


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
