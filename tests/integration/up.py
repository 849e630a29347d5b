"""A running `coronet up`, and what its Prefect server says of flow runs."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from benchmarks.browser import csrf_headers
from tests.integration.hosts import HTTP, Host

ENDS = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
LONGEST_WAIT_S = 1200  # a busy machine takes several times as long as an idle one


@dataclass
class Up:
    """A running `coronet up`."""

    host: Host
    api: str
    mlflow: str
    process: "subprocess.Popen[str]"

    def get(self, path: str) -> Any:
        return HTTP.get(f"{self.api}/{path}").raise_for_status().json()

    def post(self, path: str, **body: Any) -> Any:
        return HTTP.post(f"{self.api}/{path}", json=body, headers=csrf_headers(self.api)).raise_for_status().json()

    def patch(self, path: str, **body: Any) -> None:
        HTTP.patch(f"{self.api}/{path}", json=body, headers=csrf_headers(self.api)).raise_for_status()

    def start(self, deployment: str, **parameters: Any) -> UUID:
        found = self.get(f"deployments/name/{deployment}")
        return UUID(self.post(f"deployments/{found['id']}/create_flow_run", parameters=parameters)["id"])

    def wait(self, run_id: UUID, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < deadline:
            run: dict[str, Any] = self.get(f"flow_runs/{run_id}")
            if reached(run):
                return run
            time.sleep(1)
        pytest.fail(f"{run['name']} is {run['state_name']}:\n{self.logs(run_id)}")

    def end_of(self, run_id: UUID) -> dict[str, Any]:
        return self.wait(run_id, lambda run: run["state_type"] in ENDS)

    def runs_of(self, deployment_id: str) -> str:
        """Every run of a deployment with its state and log: what to read when a test fails."""
        runs = self.post("flow_runs/filter", flow_runs={"deployment_id": {"any_": [deployment_id]}})
        return "\n".join(f"{run['name']}: {run['state_name']}\n{self.logs(run['id'])}" for run in runs)

    def logs(self, run_id: UUID) -> str:
        wanted = {"flow_run_id": {"any_": [str(run_id)]}}
        return "\n".join(line["message"] for line in self.post("logs/filter", logs=wanted))
