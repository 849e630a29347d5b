"""Following a flow run that another host works on: its log, its end, and that a worker takes it at all.

A run whose host is gone is marked as crashed by an automation of Prefect's server (`flows/monitoring/automations.py`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId, LogFilterLevel, LogFilterTimestamp
from prefect.client.schemas.objects import Log, State
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled

from coronet_core.support.errors import CoroNetError
from tasks.runtime.safe_text.terminal import printable

INFO = 20
LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
"""Loggers of the run itself; the worker and Prefect's engine tell what is of interest on their own host."""
SERVER_ERROR = 500
LATE = timedelta(seconds=30)
"""Log lines of several processes arrive in batches, not in their order."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long nothing may happen."""

    poll_s: float = 2.0
    unserved_s: float = 60.0
    """Until it is said that no worker serves the queue; then again and again."""
    give_up_s: float = 900.0
    """Until a run that no worker takes is cancelled."""


@dataclass
class Follower:
    """Follows one flow run."""

    flow_run_id: UUID
    pool: str
    queue: str
    on_line: Callable[[str], None]
    timeouts: Timeouts = field(default_factory=Timeouts)
    _seen: set[UUID] = field(default_factory=set)
    _last: Any = None
    """Time of the latest log line."""
    _polled: Any = None
    """When a worker last asked the queue for work."""
    _quiet_since: float = field(default_factory=time.monotonic)
    _waiting_since: float = field(default_factory=time.monotonic)
    _is_unreachable: bool = False

    def follow(self) -> State[Any]:
        """Pass on the run's log until it has ended; returns its final state.

        Raises CoroNetError when no worker takes the run or somebody has deleted it. A server that does not answer is
        waited for.
        """
        while True:
            try:
                with get_client(sync_client=True) as client:
                    state = self._look(client)
            except ObjectNotFound as error:
                raise CoroNetError(
                    "the flow run on the worker's host has been deleted from Prefect's server"
                ) from error
            except httpx.HTTPError as error:
                self._wait_for_server(error)
                state = None
            if state is not None:
                return state
            time.sleep(self.timeouts.poll_s)

    def _look(self, client: SyncPrefectClient) -> State[Any] | None:
        """Read what is new; returns the state if it is final."""
        state = client.read_flow_run(self.flow_run_id).state
        if state is None:
            raise ObjectNotFound(LookupError(f"flow run {self.flow_run_id} has no state"))
        self._tell(client)
        if self._is_unreachable:
            self._is_unreachable = False
            self._begin_waiting()
            self.on_line("Prefect's server answers again")
        if state.is_final():
            time.sleep(self.timeouts.poll_s)  # its last lines are still on their way
            self._tell(client)
            return state
        if state.is_scheduled():
            self._watch_queue(client)
        else:
            self._begin_waiting()
        return None

    def _begin_waiting(self) -> None:
        self._quiet_since = self._waiting_since = time.monotonic()

    def _tell(self, client: SyncPrefectClient) -> None:
        for line in self._new_lines(client):
            self._seen.add(line.id)
            self._last = line.timestamp if self._last is None else max(self._last, line.timestamp)
            self.on_line(printable(line.message))

    def _new_lines(self, client: SyncPrefectClient) -> list[Log]:
        since = None if self._last is None else LogFilterTimestamp(after_=self._last - LATE)
        run, level = LogFilterFlowRunId(any_=[self.flow_run_id]), LogFilterLevel(ge_=INFO)
        wanted = LogFilter(flow_run_id=run, level=level, timestamp=since)
        found, place = list[Log](), 0
        while page := client.read_logs(wanted, limit=200, offset=place, sort=LogSort.TIMESTAMP_ASC):
            found += page
            place += len(page)
        return [line for line in found if line.id not in self._seen and line.name in LOGGERS]

    def _watch_queue(self, client: SyncPrefectClient) -> None:
        """Complain when nobody asks the queue for work; a worker that is busy goes on asking."""
        try:
            polled = client.read_work_queue_by_name(self.queue, work_pool_name=self.pool).last_polled
        except ObjectNotFound:
            polled = None
        if polled is not None and polled != self._polled:
            self._polled = polled
            self._begin_waiting()
            return
        now = time.monotonic()
        remedy = f"prefect worker start --pool {self.pool} --work-queue {self.queue}"
        if now - self._waiting_since > self.timeouts.give_up_s:
            client.set_flow_run_state(self.flow_run_id, Cancelled(message="no worker took it"), force=True)
            minutes = self.timeouts.give_up_s / 60
            raise CoroNetError(
                f"no worker has served the queue {self.queue} of the pool {self.pool} for {minutes:.0f} minutes. "
                f"Start one in a clone of the project: {remedy}"
            )
        if now - self._quiet_since > self.timeouts.unserved_s:
            self._quiet_since = now
            self.on_line(f"no worker serves the queue {self.queue} of the pool {self.pool}: waiting. {remedy}")

    def _wait_for_server(self, error: httpx.HTTPError) -> None:
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < SERVER_ERROR:
            raise CoroNetError(f"Prefect's server refuses: {error}") from error
        if not self._is_unreachable:
            self.on_line(f"Prefect's server does not answer ({type(error).__name__}): waiting for it")
        self._is_unreachable = True
