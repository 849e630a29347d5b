"""The flow `rollback`: the champion before this one is champion again, and the log says why."""

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.support.errors import CoroNetError
from flows.monitoring.artifacts import publish_rollback
from flows.monitoring.final_states import ROLLED_BACK, failed
from flows.monitoring.run_names import called
from flows.monitoring.webhook import AT_ITS_END
from flows.project.live_params import prepare
from tasks.promotion.promotion_log import this_user
from tasks.promotion.restore_champion import roll_back


@flow(name="rollback", flow_run_name=called("rollback: {reason}"), **AT_ITS_END)
def rollback(reason: str) -> State[None]:
    """Restore the previous champion.

    Args:
        reason: What is wrong with the champion; written to the promotion log and to the version's tags.
    """
    try:
        prepare(None)
        found = roll_back(reason, this_user())
    except CoroNetError as error:
        return failed(error)
    publish_rollback(found, reason)
    message = f"version {found.restored.number} is the champion again, version {found.removed.number} is not"
    return Completed(name=ROLLED_BACK, message=message)
