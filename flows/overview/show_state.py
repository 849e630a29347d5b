"""What `coronet status` prints."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flows.overview.project_state import Champion, PoolWorker, ProjectState, Stages
from flows.project.summary import figure, is_area
from flows.servers.addresses import KnownServer
from tasks.runtime.safe_text.terminal import printable
from tasks.runtime.tracking.provenance import program_version

if TYPE_CHECKING:
    from flows.monitoring.schedules import ScheduledDeployment

HIDDEN: Final = "url"
"""The field of a server that may hold credentials."""
WIDTH: Final = 11
DIGITS: Final = 7
MINUTE: Final = "%Y-%m-%d %H:%M UTC"


def print_state(*, as_json: bool) -> None:
    """Print the state of the project in the current folder, for people or as JSON."""
    state = ProjectState.now()
    if as_json:
        print(as_json_text(state))
        return
    parts = {
        "stages": _stages(state),
        "champion": [state.reasons.get("champion") or _champion(state.champion)],
        "scheduled": _scheduled(state),
        "workers": [state.reasons["workers"] if state.workers is None else _workers(state.workers)],
        "servers": [_server(state.prefect), _server(state.mlflow), _service(state.service)],
    }
    print(f"CoroNet {program_version()} in {Path.cwd()}")
    for part, lines in parts.items():
        for title, line in zip([part, *[""] * len(lines)], lines, strict=False):
            print(f"{title:{WIDTH}}{printable(line)}".rstrip())


def as_json_text(state: ProjectState) -> str:
    """Return `state` as JSON; times are ISO 8601, figures shares of 1."""
    found: dict[str, Any] = {"version": program_version(), "folder": str(Path.cwd())} | asdict(state)
    for server in ("prefect", "mlflow", "service"):
        found[server].pop(HIDDEN)
    return json.dumps(found, indent=2, allow_nan=False, default=_plain)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _stages(state: ProjectState) -> list[str]:
    running = ["a run is under way in this folder"] if state.is_running else []
    if state.stages is None:
        return [*running, state.reasons["stages"]]
    return [*running, *_outdated(state.stages)]


def _outdated(stages: Stages) -> Iterable[str]:
    if not stages.outdated:
        yield "all up to date"
    else:
        yield f"outdated: {', '.join(stages.outdated)} (`coronet run` runs them)"
    if stages.waiting:
        yield f"later stages, perhaps outdated too: {', '.join(stages.waiting)}"
    for path in stages.absent_data:
        yield f"{path} is missing; stages that read it count as up to date until it is back (`dvc pull`)"


def _champion(champion: Champion | None) -> str:
    if champion is None:
        return "none yet; `coronet promote` tests the last run against the promotion rules"
    from tasks.registry.version_lineage import LISTED_FIGURES  # late: pandas, which is there if a version is

    known = {name: value for name, value in champion.figures.items() if value is not None}
    shown = [
        f"{LISTED_FIGURES[name]} {figure(name, value)}{'' if is_area(name) else '%'}" for name, value in known.items()
    ]
    figures = ", ".join(shown) or "no figures"
    commit = "" if champion.commit is None else f", code {champion.commit[:DIGITS]}"
    return f"version {champion.version} of {champion.created:{MINUTE}}{commit}: {figures}"


def _scheduled(state: ProjectState) -> list[str]:
    if state.scheduled is None:
        return [state.reasons["scheduled"]]
    return [_deployment(one) for one in state.scheduled] or ["nothing: every schedule is switched off"]


def _deployment(one: "ScheduledDeployment") -> str:
    rule = "; ".join(one.schedules)
    if one.next_run is None:
        return f"{one.deployment}: {rule}, next run not planned yet"
    is_late = one.next_run < datetime.now(UTC)
    due = f"{one.next_run.astimezone(UTC):{MINUTE}}"
    return f"{one.deployment}: {rule}, " + (f"late since {due}: no worker takes it" if is_late else f"next {due}")


def _workers(workers: list[PoolWorker]) -> str:
    if online := [one.name for one in workers if one.is_online]:
        return f"{len(online)} online: {', '.join(online)}"
    seen = workers[0].last_heartbeat if workers else None
    since = "" if seen is None else f" since {seen.astimezone(UTC):{MINUTE}}"
    return f"none online{since}: runs of deployments wait (`coronet up` starts one)"


def _service(service: KnownServer) -> str:
    words = "running" if service.is_running else "not running (`coronet serve` starts it)"
    return f"{service.title:8}{service.page}: {words}"


def _server(server: KnownServer) -> str:
    words = f"{server.title:8}{server.page}: {'running' if server.is_running else 'not running'}"
    if server.is_configured:
        return words
    return f"{words} ({'this shell does not use it' if server.is_running else '`coronet up` starts one'})"
