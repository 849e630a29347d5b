"""What is told at the end: exit codes, and errors of flows."""

import signal

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Failed, State

from coronet_core.support.errors import CoroNetError, TransientError
from flows.cli.images.predict_files import SOME_FAILED, exit_code_for
from flows.monitoring.final_states import TRANSIENT_FAILURE
from flows.pipeline.run import run_to_end


@pytest.mark.parametrize(("n_failed", "code"), [(0, 0), (1, SOME_FAILED), (6, SOME_FAILED), (7, 1)])
def test_the_code_says_whether_all_some_or_no_files_have_an_answer(n_failed: int, code: int) -> None:
    assert exit_code_for(n_failed, n_files=7) == code


def end_of(state: "State[None]") -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
            run_to_end(lambda: state)
    finally:
        signal.signal(signal.SIGINT, handler)


def test_a_flow_that_failed_for_now_may_be_tried_again() -> None:
    with pytest.raises(TransientError, match="away"):
        end_of(Failed(name=TRANSIENT_FAILURE, message="away"))


def test_a_flow_that_failed_tells_why() -> None:
    with pytest.raises(CoroNetError, match="no such folder") as raised:
        end_of(Failed(message="no such folder"))
    assert not isinstance(raised.value, TransientError)
    end_of(Completed())
