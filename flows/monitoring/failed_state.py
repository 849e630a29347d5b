"""The state of a flow or stage that an error has ended."""

from prefect.client.schemas.objects import State
from prefect.states import Failed

from coronet_core.support.errors import CoroNetError, TransientError
from flows.monitoring.final_states import TRANSIENT_FAILURE


def failed(error: CoroNetError) -> State[None]:
    """Return the failed state with the error's message; by its name, one knows that the same may succeed later."""
    return Failed(name=TRANSIENT_FAILURE if isinstance(error, TransientError) else None, message=str(error))
