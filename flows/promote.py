"""The flow `promote`: a version is judged and, if it passes and nobody objects, becomes the champion."""

from uuid import UUID

import torch
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, Pause
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.approval import (
    CLOSING_NAME,
    Answer,
    ask,
    decided_since,
    end_as_declined,
    judgement_asked_about,
    unanswered,
)
from flows.monitoring.artifacts import publish_decision
from flows.monitoring.final_states import DECLINED, PROMOTED, REFUSED, UP_TO_DATE, failed
from flows.monitoring.run_names import called
from flows.monitoring.webhook import AT_ITS_END
from flows.project.live_params import prepare
from flows.project.preconditions import require_up_to_date
from tasks.promotion import promote_version as succession
from tasks.promotion.promote_version import Judgement
from tasks.promotion.promotion_log import DECIDED, this_user
from tasks.registry.registration import register
from tasks.registry.versions import Version, champion, find_version
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.compute.devices import device_type
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Approval, PromotionParams
from tasks.runtime.paths import PACKAGE

DEPLOYMENT = "promote/promote"


@flow(name="promote", flow_run_name=called("promote {version}", version="the last run"), **AT_ITS_END)
def promote(version: str | None = None, approval: Approval | None = None) -> State[None]:
    """Judge a version by `params.yaml: promotion` and make it the champion if it passes.

    A run that asks on Prefect's page ends its process, and begins here again with the answer: it goes on with the
    judgement that the answer is about.

    Args:
        version: A registered version: "3", "challenger", "models:/coronet/3". Without one, the last run is registered.
        approval: Whether to ask a person once the rules are met; by default promotion.approval.
    """
    try:
        prepare(None)
        if (asked := judgement_asked_about()) is not None:
            return _ask_and_promote(asked, read_params().promotion)
        return _judge_and_promote(find_version(version) if version else register_last_run(), approval)
    except CoroNetError as error:
        return failed(error)


@flow(name="close-approval", flow_run_name=called(CLOSING_NAME), **AT_ITS_END)
def close_approval(flow_run_id: UUID, hours: float) -> State[None]:
    """Write down that a question has had no answer in time, and that the version is not promoted.

    Args:
        flow_run_id: The run of `promote` that has asked; it orders this one.
        hours: Hours that it has waited for an answer.
    """
    try:
        prepare(None)
        judgement, reason = unanswered(flow_run_id), f"no reply within {hours:g} h"
        if judgement is None:
            return Completed(name=UP_TO_DATE, message="the question is settled")
        succession.decline(judgement, this_user(), reason)
        message = _not_promoted(judgement, reason)
        end_as_declined(flow_run_id, message)
    except CoroNetError as error:
        return failed(error)
    return Completed(name=DECLINED, message=message)


def _judge_and_promote(version: Version, approval: Approval | None) -> State[None]:
    """Judge `version`, have a person asked if that is wanted, and promote it; within a flow."""
    former = champion()
    if former is not None and former.number == version.number:
        return Completed(name=UP_TO_DATE, message=f"version {version.number} is already the champion")
    params = read_params()
    use_cpu_threads(share=1)
    judgement = succession.judge(version, params, torch.device(device_type(params)))
    publish_decision(judgement)
    decision, say = judgement.decision, get_run_logger().info
    for ruling in decision.rulings:
        say(f"{'met' if ruling.passed else 'NOT MET'}: {ruling.reason}")
    for note in decision.notes:
        say(note)
    if not decision.passed:
        return Completed(name=REFUSED, message="\n".join([f"version {version.number} is refused:", *decision.reasons]))
    if (approval or params.promotion.approval) == "manual":
        return _ask_and_promote(judgement, params.promotion)
    return _promoted(judgement, Answer(is_yes=True, by=this_user()))


def _ask_and_promote(judgement: Judgement, params: PromotionParams) -> State[None]:
    answer = _asked(judgement, params.approval_timeout_hours)
    if event := decided_since():
        message = f"version {judgement.version.number} was decided on since it was asked about: {event}"
        return Completed(name=UP_TO_DATE, message=message)
    if answer.is_yes:
        return _promoted(judgement, answer)
    reason = answer.comment or "no"
    succession.decline(judgement, answer.by, reason)
    return Completed(name=DECLINED, message=_not_promoted(judgement, reason))


def _promoted(judgement: Judgement, answer: Answer) -> State[None]:
    succession.promote(judgement, answer.by, answer.comment)
    former = judgement.champion
    instead = "" if former is None else f", in place of version {former.number}"
    return Completed(name=PROMOTED, message=f"version {judgement.version.number} is the champion{instead}")


def _not_promoted(judgement: Judgement, reason: str) -> str:
    return f"version {judgement.version.number} is not promoted: {reason}"


def register_last_run() -> Version:
    """Register the package of the project's last run. Raises CoroNetError unless every stage is up to date."""
    require_up_to_date()
    return register(PACKAGE)


def _asked(judgement: Judgement, timeout_hours: float) -> Answer:
    """Ask; written down as a no when the question ends with the run: cancelled, or killed by a signal.

    A run that is suspended until there is an answer leaves here, too, and comes back.
    """
    try:
        return ask(judgement, timeout_hours)
    except Pause:
        raise
    except BaseException as error:
        succession.decline(judgement, this_user(), f"the approval ended without an answer ({type(error).__name__})")
        raise


def promote_last_run(approval: Approval) -> str:
    """Register the last run and have it judged; returns in a sentence what has come of it. To be called in a flow.

    A version that has been judged before is left at that. With `manual` approval, a run of the deployment `promote`
    judges and asks: a person's answer may take a day, and the next retrain must not wait for it.

    Raises CoroNetError if it cannot be judged.
    """
    version = register_last_run()
    if DECIDED in version.tags:
        return f"version {version.number} has been judged before: {version.tags[DECIDED]}"
    if approval == "manual":
        _order_promotion(version.number)
        return f"version {version.number} is judged by a run of {DEPLOYMENT}, which asks for approval if it passes"
    state = promote(str(version.number), approval, return_state=True)
    if not state.is_completed():
        raise CoroNetError(str(state.message))
    return str(state.message)


def _order_promotion(version: int) -> None:
    parameters = {"version": str(version), "approval": "manual"}
    try:
        name = f"promote {version}"  # until a worker begins it: then it gives itself the same
        run_deployment(DEPLOYMENT, parameters=parameters, flow_run_name=name, timeout=0, as_subflow=False)
    except ObjectNotFound as error:
        raise CoroNetError(
            f"the server has no deployment {DEPLOYMENT}, which asks for the approval. Type `coronet deploy`, or "
            f"`coronet promote {version}`."
        ) from error
