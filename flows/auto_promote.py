"""After a retrain: register the new networks, judge them and, if they pass, promote them."""

from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from coronet_core.support.errors import CoroNetError
from flows.promote import promote, register_last_run
from tasks.promotion.promotion_log import DECIDED
from tasks.runtime.params.schema import Approval

DEPLOYMENT = "promote/promote"


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
        return f"version {version.number} is judged by a run of {DEPLOYMENT}, which asks a person if it passes"
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
