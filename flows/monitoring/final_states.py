"""States in which flows and stages end, beside Prefect's own; automations know an end by its name."""

from typing import TYPE_CHECKING, Final

from coronet_core.support.errors import CoroNetError, TransientError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

UP_TO_DATE: Final = "Up to date"
"""Nothing was to be done."""
TRANSIENT_FAILURE: Final = "Transient failure"
"""Failed by what may pass: the same may succeed later."""
NOT_RUN: Final = "Not run"
"""Of a stage alone: one that it waits for has not completed."""
PRUNED: Final = "Pruned"
"""Of a trial of a search: ended early, being no better than others were by then."""
PROMOTED: Final = "Promoted"
REFUSED: Final = "Refused"
"""By a rule of the gate."""
DECLINED: Final = "Declined"
"""By a person, or for want of an answer."""
ROLLED_BACK: Final = "Rolled back"
DRIFT_FOUND: Final = "Drift found"
IMAGES_FOUND: Final = "New images"
"""Enough of them to start a retrain."""

OURS: Final = frozenset(
    {UP_TO_DATE, TRANSIENT_FAILURE, PRUNED, PROMOTED, REFUSED, DECLINED, ROLLED_BACK, DRIFT_FOUND, IMAGES_FOUND}
)
PREFECTS: Final = frozenset({"Completed", "Failed", "Cancelled", "Crashed", "TimedOut"})


def failed(error: CoroNetError) -> "State[None]":
    """Return the failed state with the error's message; by its name, one knows that the same may succeed later."""
    from prefect.states import Failed  # late: names of states are needed without Prefect, too

    return Failed(name=TRANSIENT_FAILURE if isinstance(error, TransientError) else None, message=str(error))
