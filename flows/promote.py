"""The flow `promote`: a version is judged and, if it passes and nobody objects, becomes the champion."""

import torch
from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.approval import Answer, ask, publish_decision
from flows.monitoring.final_states import DECLINED, PROMOTED, REFUSED, UP_TO_DATE
from flows.monitoring.webhook import AT_ITS_END
from flows.project.live_params import prepare
from flows.project.preconditions import require_up_to_date
from tasks.promotion import promote_version as succession
from tasks.promotion.promote_version import Judgement
from tasks.promotion.promotion_log import this_user
from tasks.registry.registration import register
from tasks.registry.versions import Version, champion, find_version
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.compute.devices import device_type
from tasks.runtime.params.file import read_params
from tasks.runtime.params.schema import Approval
from tasks.runtime.paths import PACKAGE


@flow(name="promote", **AT_ITS_END)
def promote(version: str | None = None, approval: Approval | None = None) -> State[None]:
    """Judge a version by `params.yaml: promotion` and make it the champion if it passes.

    Args:
        version: A registered version: "3", "challenger", "models:/coronet/3". Without one, the last run is registered.
        approval: Whether a person is asked once the rules are met; by default promotion.approval.
    """
    try:
        prepare(None)
        return promote_version(find_version(version) if version else register_last_run(), approval)
    except CoroNetError as error:
        return Failed(message=str(error))


def promote_version(version: Version, approval: Approval | None) -> State[None]:
    """Judge `version`, have a person asked if that is wanted, and promote it; within a flow."""
    former = champion()
    if former is not None and former.number == version.number:
        return Completed(name=UP_TO_DATE, message=f"version {version.number} is the champion already")
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
    answer = Answer(is_yes=True, by=this_user())
    if (approval or params.promotion.approval) == "manual":
        answer = _asked(judgement, params.promotion.approval_timeout_hours)
    if not answer.is_yes:
        return Completed(name=DECLINED, message=f"version {version.number} is not promoted: {answer.comment or 'no'}")
    succession.promote(judgement, answer.by, answer.comment)
    instead = "" if former is None else f", in place of version {former.number}"
    return Completed(name=PROMOTED, message=f"version {version.number} is the champion{instead}")


def register_last_run() -> Version:
    """Register the package of the project's last run. Raises CoroNetError unless every stage is up to date."""
    require_up_to_date()
    return register(PACKAGE)


def _asked(judgement: Judgement, timeout_hours: float) -> Answer:
    """Ask, and write down a no; so too when the question ends with the run: cancelled, or killed by a signal."""
    try:
        answer = ask(judgement, timeout_hours)
    except BaseException as error:
        succession.decline(judgement, this_user(), f"the approval ended without an answer ({type(error).__name__})")
        raise
    if not answer.is_yes:
        succession.decline(judgement, answer.by, answer.comment or "no")
    return answer
