"""What `coronet deploy` does: the work pool, the deployments of `prefect.yaml`, the automations."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx
from prefect import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from coronet_core.support.credentials import without_credentials
from coronet_core.support.errors import CoroNetError, TransientError
from flows.monitoring.automations import install_automations
from flows.monitoring.schedules import add_missing_schedules, deployments_of_project
from flows.monitoring.work_pool import POOL
from flows.project.live_params import prepare
from flows.project.processes import stage_environment

POOL_TYPE: Final = "process"
PREFECT_FILE: Final = Path("prefect.yaml")


def deploy() -> None:
    """Bring the Prefect server in force to what `prefect.yaml` says. Again changes nothing that is as it should be.

    What people have set on the page stays: schedules, and whether a deployment is paused. Raises CoroNetError when no
    server is set or it refuses, TransientError when it does not answer.
    """
    prepare(None)
    address = PREFECT_API_URL.value()
    if not address:
        raise CoroNetError(
            "no Prefect server: set PREFECT_API_URL, such as http://127.0.0.1:4200/api, or type `coronet up`, which "
            "starts one."
        )
    try:
        if not _pool_exists():
            _prefect("work-pool", "create", POOL, "--type", POOL_TYPE)
        with get_client(sync_client=True) as client:
            paused = [deployment.id for deployment in deployments_of_project(client) if deployment.paused]
            try:
                _prefect("deploy", "--all", "--prefect-file", str(PREFECT_FILE))
            finally:
                for deployment in paused:  # deploying has gone on with them
                    client.pause_deployment(deployment)
            add_missing_schedules(client, PREFECT_FILE)
        install_automations()
    except httpx.HTTPError as error:
        raise TransientError(f"{address}: Prefect's server does not answer ({error}).") from error


def _pool_exists() -> bool:
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(POOL)
        except ObjectNotFound:
            return False
    return True


def _prefect(*arguments: str) -> None:
    command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
    finished = subprocess.run(command, env=stage_environment(), capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        output = " ".join(without_credentials(finished.stdout + finished.stderr).split())
        raise CoroNetError(f"prefect {' '.join(arguments[:2])}: {output[-500:]}")
