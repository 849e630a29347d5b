"""The state of the project: outdated stages, the champion, schedules, workers, servers.

Only looked at: no server is started, none is waited for long, and what cannot be told has a reason in its place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from coronet_core.support.credentials import first_words
from coronet_core.support.errors import CoroNetError
from flows.project.preconditions import has_registry
from flows.project.run_lock import RETRAIN_LOCK, is_held
from flows.servers.addresses import KnownServer, known_mlflow, known_prefect, known_service

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.monitoring.schedules import ScheduledDeployment

TIMEOUT_S: Final = 5.0
"""For one answer of Prefect's server."""


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What `coronet run` would do now."""

    outdated: list[str]
    waiting: list[str]
    """Up to date as they are, behind outdated ones: whether they have to run depends on what those make."""
    absent_data: list[Path]
    """Raw data that are not here; alone they make nothing outdated."""


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The version in use."""

    version: int
    created: datetime
    commit: str | None
    figures: dict[str, float | None]
    """Shares of 1 on the test split."""


@dataclass(frozen=True, kw_only=True)
class PoolWorker:
    """A worker of the project's pool, as Prefect's server knows it."""

    name: str
    is_online: bool
    last_heartbeat: datetime | None


@dataclass(frozen=True, kw_only=True)
class ProjectState:
    """The state of the project in the current folder."""

    is_running: bool
    """Whether a run of the DAG is under way in this folder."""
    stages: Stages | None
    champion: Champion | None
    scheduled: "list[ScheduledDeployment] | None"
    workers: list[PoolWorker] | None
    """Those that are online first, and of each kind the last one seen."""
    prefect: KnownServer
    mlflow: KnownServer
    service: KnownServer
    """`coronet serve`."""
    reasons: dict[str, str]
    """By the name of a part that could not be told, why."""

    @classmethod
    def now(cls) -> "ProjectState":
        """Look at all of it."""
        prefect, mlflow = known_prefect(), known_mlflow()
        reasons: dict[str, str] = {}

        def told(part: str, look: Callable[[], Any]) -> Any:
            try:
                return look()
            except CoroNetError as error:
                reasons[part] = str(error)
            except Exception as error:  # noqa: BLE001  # whatever a client library raises must not hide the other parts
                reasons[part] = f"{part} cannot be read: {type(error).__name__}: {first_words(error, 200)}"
            return None

        return cls(
            is_running=is_held(RETRAIN_LOCK),
            stages=told("stages", look_at_stages),
            champion=told("champion", lambda: find_champion(mlflow)),
            scheduled=told("scheduled", lambda: find_scheduled(prefect)),
            workers=told("workers", lambda: find_workers(prefect)),
            prefect=prefect,
            mlflow=mlflow,
            service=known_service(),
            reasons=reasons,
        )


def look_at_stages() -> Stages:
    """Return what DVC would run now. Raises CoroNetError if it cannot tell, as while it works in another process."""
    from flows.project.graph import read_graph, settled, stale_stages  # late: DVC
    from flows.project.raw_data import absent_raw_data

    stages = read_graph()
    outdated = stale_stages(stage.name for stage in stages)
    undecided = [stage.name for stage in settled(stages, outdated) if not stage.is_settled]
    return Stages(
        outdated=outdated,
        waiting=[name for name in undecided if name not in outdated],
        absent_data=absent_raw_data(),
    )


def find_champion(mlflow: KnownServer) -> Champion | None:
    """Return the champion; None if no version is. Raises CoroNetError if MLflow's server does not run."""
    if mlflow.is_configured and not mlflow.is_running:
        raise CoroNetError(f"MLflow's server is not running at {mlflow.page}.")
    if not has_registry():
        return None
    from tasks.registry.version_lineage import COMMIT_TAG, listed_figures
    from tasks.registry.versions import champion

    version = champion()
    if version is None:
        return None
    return Champion(
        version=version.number,
        created=version.created,
        commit=version.tags.get(COMMIT_TAG),
        figures=listed_figures(version),
    )


def find_scheduled(prefect: KnownServer) -> "list[ScheduledDeployment]":
    """Return the deployments that run by the clock. Raises CoroNetError if Prefect's server does not run."""
    with _client_of(prefect) as client:
        from flows.monitoring.schedules import scheduled_deployments

        return scheduled_deployments(client)


def find_workers(prefect: KnownServer) -> list[PoolWorker]:
    """Return the workers of the project's pool. Raises CoroNetError without a server or a pool."""
    with _client_of(prefect) as client:
        from prefect.exceptions import ObjectNotFound

        from flows.monitoring.work_pool import POOL

        try:
            client.read_work_pool(POOL)
        except ObjectNotFound as error:
            raise CoroNetError(f"Prefect has no pool {POOL} yet: `coronet deploy` makes it.") from error
        found = client.read_workers_for_work_pool(POOL)
    workers = [
        PoolWorker(name=one.name, is_online=one.status == "ONLINE", last_heartbeat=one.last_heartbeat_time)
        for one in found
    ]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(workers, key=lambda one: (one.is_online, one.last_heartbeat or never), reverse=True)


@contextmanager
def _client_of(prefect: KnownServer) -> "Iterator[SyncPrefectClient]":
    """Give a client of the server `prefect`. Raises CoroNetError if it does not run."""
    if not prefect.is_running:
        raise CoroNetError(f"Prefect's server is not running at {prefect.page}.")
    from prefect import get_client  # late: Prefect takes a second
    from prefect.settings import PREFECT_API_REQUEST_TIMEOUT, PREFECT_API_URL, temporary_settings

    settings = {PREFECT_API_URL: prefect.url, PREFECT_API_REQUEST_TIMEOUT: TIMEOUT_S}
    with temporary_settings(settings), get_client(sync_client=True) as client:
        yield client
