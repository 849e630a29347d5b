"""Asking a person whether a version becomes the champion, and showing the gate's decision, on page and terminal."""

import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prefect import get_client, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.states import Running
from pydantic import Field

from tasks.promotion.promote_version import Judgement
from tasks.promotion.promotion_log import this_user
from tasks.promotion.restore_champion import Rollback
from tasks.report.pages import environment
from tasks.runtime.external_text import plain

DECISION_KEY: Final = "promotion"
FIGURES_KEY: Final = "promotion-figures"
ROLLBACK_KEY: Final = "rollback"
POLL_S: Final = 5
SECONDS_AN_HOUR: Final = 3600
YES: Final = ("y", "yes")


def as_markdown(judgement: Judgement) -> str:
    """Return the decision with every rule and its reason."""
    content = {
        "version": judgement.version.number,
        "champion": None if judgement.champion is None else judgement.champion.number,
        "decision": judgement.decision,
        "outcome": "meets every rule" if judgement.decision.passed else "refused",
    }
    return environment().get_template("promotion.md.j2").render(content)


def publish_decision(judgement: Judgement) -> None:
    """Create the artifacts of a decision; to be called in a flow."""
    description = f"Whether version {judgement.version.number} may become the champion"
    create_markdown_artifact(as_markdown(judgement), key=DECISION_KEY, description=description)
    figures = judgement.decision.figures.items()
    rows = [{"figure": name, "value": "–" if value is None else f"{value:.4f}"} for name, value in figures]
    create_table_artifact(rows, key=FIGURES_KEY, description=f"What was judged of version {judgement.version.number}")


def publish_rollback(found: Rollback, reason: str) -> None:
    """Create the artifact of a rollback; to be called in a flow."""
    text = (
        f"### Version {found.restored.number} is the champion again\n\nVersion {found.removed.number} was taken back: "
    )
    create_markdown_artifact(text + plain(reason), key=ROLLBACK_KEY, description="Why a champion was taken back")


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
    """Pause the flow run until somebody has filled in the form on Prefect's page."""
    form = ApprovalForm.with_initial_data(description=as_markdown(judgement))
    try:
        filled = pause_flow_run(
            wait_for_input=form, timeout=round(timeout_hours * SECONDS_AN_HOUR), poll_interval=POLL_S
        )
    except FlowPauseTimeout:
        _go_on()
        return _no(f"no reply within {timeout_hours:g} hours")
    return Answer(is_yes=filled.promote, by=filled.name, comment=filled.comment)


def ask_on_terminal(judgement: Judgement, timeout_hours: float) -> Answer:
    """Ask on the terminal. Without one, the answer is no."""
    if not sys.stdin.isatty():
        return _no("there is no terminal to ask on; `--yes` answers before")
    print(as_markdown(judgement))
    print(f"Make version {judgement.version.number} the champion? [y/N] ", end="", flush=True)
    try:
        with _interruptible():
            is_there = select.select([sys.stdin], [], [], timeout_hours * SECONDS_AN_HOUR)[0]
            answer = sys.stdin.readline() if is_there else None
    except KeyboardInterrupt:
        return _no("interrupted")
    if answer is None:
        return _no(f"no reply within {timeout_hours:g} hours")
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


def _go_on() -> None:
    """Have the flow run go on behind a pause that is over: the server would let it end as failed alone."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(str(runtime.flow_run.get_id())), Running(), force=True)


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
