"""What `coronet promote` and `coronet rollback` do."""

from coronet_core.support.errors import CoroNetError
from flows.monitoring.final_states import PROMOTED, UP_TO_DATE
from flows.pipeline.run import run_to_end
from tasks.runtime.params.promotion import Approval


def promote(version: str | None, approval: Approval | None, *, yes: bool) -> None:
    """Judge a version and promote it. Raises CoroNetError, with every reason, if it does not become the champion."""
    from flows.approval.approval import ask_on_terminal, asking, say_yes
    from flows.promote import promote as promote_flow

    with asking(say_yes if yes else ask_on_terminal):
        state = run_to_end(lambda: promote_flow(version, approval, return_state=True))
    if state.name not in {PROMOTED, UP_TO_DATE}:
        raise CoroNetError(str(state.message))
    print(state.message)


def rollback(reason: str) -> None:
    """Go back to the champion before this one. Raises CoroNetError when there is none."""
    from flows.rollback import rollback as rollback_flow

    print(run_to_end(lambda: rollback_flow(reason, return_state=True)).message)
