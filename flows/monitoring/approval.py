"""Asking a person whether a version becomes the champion, on Prefect's page or on the terminal."""

import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import httpx
from prefect import get_client, runtime
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput, create_flow_run_input, read_flow_run_input
from prefect.states import Completed
from pydantic import Field, TypeAdapter

from coronet_core.support.errors import CoroNetError
from flows.monitoring.artifacts import as_markdown
from flows.monitoring.final_states import DECLINED
from tasks.promotion.gate import Decision
from tasks.promotion.promote_version import Judgement
from tasks.promotion.promotion_log import DECIDED, DECIDED_AT, this_user
from tasks.registry.versions import Version, find_version

QUESTION: Final = "approval"
"""Prefect's key of the suspension, of which a run has one."""
JUDGEMENT: Final = "judgement"
"""Key of what the run was suspended with, among its inputs on the server."""
CLOSING: Final = "close-approval/close-approval"
"""The deployment that writes down that a question has had no answer."""
CLOSING_NAME: Final = "no answer within {hours} h"
"""Of its runs: what it writes down."""
CLOSED_AFTER: Final = timedelta(seconds=10)
"""The server looks every few seconds whether the time of a suspended run is over."""
SECONDS_AN_HOUR: Final = 3600
ANSWERED: Final = "Resuming"
"""Prefect's name of the state by which a suspended run goes on."""
YES: Final = ("y", "yes")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a person has said."""

    is_yes: bool
    by: str
    comment: str = ""


Ask = Callable[[Judgement, float], Answer]
"""Asks about a judgement; the answer must be there within so many hours."""


class ApprovalForm(RunInput):
    """The form on Prefect's page."""

    promote: bool = Field(default=False, description="Make this version the champion.")
    name: str = Field(min_length=1, max_length=100, description="Who decides; written to the promotion log.")
    comment: str = Field(default="", max_length=1000, description="Why; written to the promotion log.")


def ask_on_page(judgement: Judgement, timeout_hours: float) -> Answer:
    """Suspend the flow run until somebody has filled in the form on Prefect's page.

    Its process ends. With the answer the server schedules the run again, a worker runs the flow from its beginning, and
    here it has the answer. After `timeout_hours` the server takes none, and ends the run as failed; a run of `CLOSING`,
    ordered here for that time, writes down why.
    """
    if runtime.deployment.id is None:
        return _no("only a run of a deployment can ask for approval: start the deployment promote")
    kept = cast("dict[str, Any] | None", read_flow_run_input(JUDGEMENT))  # typed for async too
    if kept is None:
        kept = {
            "closing": str(_order_closing(timeout_hours).id),
            "passed_at": find_version(str(judgement.version.number)).tags.get(DECIDED_AT),  # as it is logged by now
            "version": judgement.version.number,
            "champion": None if judgement.champion is None else judgement.champion.number,
            "decision": TypeAdapter(Decision).dump_python(judgement.decision, mode="json"),
        }
        create_flow_run_input(JUDGEMENT, kept)
    form = ApprovalForm.with_initial_data(description=as_markdown(judgement))
    filled = suspend_flow_run(wait_for_input=form, timeout=round(timeout_hours * SECONDS_AN_HOUR), key=QUESTION)
    _delete_closing(UUID(kept["closing"]))
    return Answer(is_yes=filled.promote, by=filled.name, comment=filled.comment)


def judgement_asked_about(flow_run_id: UUID | None = None) -> Judgement | None:
    """Return what the flow run, by default this one, has asked about; None if it has not asked on the page.

    Raises DataError if the version or its champion of then is no longer registered.
    """
    kept = cast("dict[str, Any] | None", read_flow_run_input(JUDGEMENT, flow_run_id))  # typed for async too
    if kept is None:
        return None
    return Judgement(
        version=find_version(str(kept["version"])),
        champion=None if kept["champion"] is None else find_version(str(kept["champion"])),
        decision=TypeAdapter(Decision).validate_python(kept["decision"]),
    )


def unanswered(flow_run_id: UUID) -> Judgement | None:
    """Return what the flow run has asked about, if it has had no answer and nothing was decided since; else None."""
    judgement = judgement_asked_about(flow_run_id)
    kept = cast("dict[str, Any] | None", read_flow_run_input(JUDGEMENT, flow_run_id))
    with get_client(sync_client=True) as client:
        is_answered = any(state.name == ANSWERED for state in client.read_flow_run_states(flow_run_id))
    if judgement is None or kept is None or is_answered:
        return None
    return judgement if _is_open(judgement.version, kept) else None


def decided_since() -> str | None:
    """Return what was decided on the version, since this flow run asked about it, by others; None if nothing was."""
    kept = cast("dict[str, Any] | None", read_flow_run_input(JUDGEMENT))  # typed for async too
    if kept is None or _is_open(version := find_version(str(kept["version"])), kept):
        return None
    return version.tags.get(DECIDED)


def _is_open(version: Version, kept: dict[str, Any]) -> bool:
    """Return whether the judgement that was asked about is still the last word on `version`."""
    return version.tags.get(DECIDED) == "passed" and version.tags.get(DECIDED_AT) == kept["passed_at"]


def end_as_declined(flow_run_id: UUID, message: str) -> None:
    """End the flow run, whose time for an answer is over, as declined: the server would let it end as failed."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run_id, Completed(name=DECLINED, message=message), force=True)


def _order_closing(timeout_hours: float) -> FlowRun:
    """Order the run that closes the question of this one; asked again, it is the same."""
    asking = str(runtime.flow_run.id)
    try:
        closing = run_deployment(
            CLOSING,
            parameters={"flow_run_id": asking, "hours": timeout_hours},
            flow_run_name=CLOSING_NAME.format(hours=timeout_hours),
            scheduled_time=datetime.now(UTC) + timedelta(hours=timeout_hours) + CLOSED_AFTER,
            timeout=0,
            as_subflow=False,
            idempotency_key=f"close-{asking}",
        )
    except ObjectNotFound as error:
        raise CoroNetError(f"the server has no deployment {CLOSING}. Type `coronet deploy`.") from error
    return cast("FlowRun", closing)  # typed for async too


def _delete_closing(flow_run_id: UUID) -> None:
    """Delete the run that would close an answered question. Left where it is, it finds an answer and does nothing."""
    with suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        if (state := client.read_flow_run(flow_run_id).state) is not None and state.is_scheduled():
            client.delete_flow_run(flow_run_id)


def ask_on_terminal(judgement: Judgement, timeout_hours: float) -> Answer:
    """Ask on the terminal. Without one, the answer is no."""
    if not sys.stdin.isatty():
        return _no("there is no terminal to ask on; `--yes` approves without asking")
    print(as_markdown(judgement))
    print(f"Make version {judgement.version.number} the champion? [y/N] ", end="", flush=True)
    try:
        with _interruptible():
            is_there = select.select([sys.stdin], [], [], timeout_hours * SECONDS_AN_HOUR)[0]
            answer = sys.stdin.readline() if is_there else None
    except KeyboardInterrupt:
        return _no("interrupted")
    if answer is None:
        return _no(f"no reply within {timeout_hours:g} h")
    is_yes = answer.strip().lower() in YES
    return Answer(is_yes=is_yes, by=this_user(), comment=f"{'yes' if is_yes else 'no'}, on the terminal")


def say_yes(_: Judgement, __: float) -> Answer:
    """Answer what was answered before, by `--yes`."""
    return Answer(is_yes=True, by=this_user(), comment="yes, by --yes")


_ask: ContextVar[Ask] = ContextVar("ask", default=ask_on_page)


@contextmanager
def asking(ask: Ask) -> Iterator[None]:
    """Have flows that run meanwhile, in this process, ask so; by themselves they ask on Prefect's page."""
    token = _ask.set(ask)
    try:
        yield
    finally:
        _ask.reset(token)


def ask(judgement: Judgement, timeout_hours: float) -> Answer:
    """Ask whether a version that has passed becomes the champion."""
    return _ask.get()(judgement, timeout_hours)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt, whatever it does otherwise."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _no(reason: str) -> Answer:
    return Answer(is_yes=False, by=this_user(), comment=reason)
