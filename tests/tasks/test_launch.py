"""The one error of a stage that trains as several processes: what its ranks foresaw, or how they were ended."""

import os
import signal
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing import ProcessFailure

from coronet_core.support.errors import CoroNetError, DataError, TrainingError, TransientError
from tasks.runtime.compute.launch import _error_of, exit_code_of_rank


@pytest.fixture
def error_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    return tmp_path / "error.json"


def failure(error: Exception, file: Path) -> ProcessFailure:
    """Return the failure that torchrun makes of a rank that ends with `error`."""

    def fail() -> None:
        raise error

    return ProcessFailure(local_rank=0, pid=os.getpid(), exitcode=exit_code_of_rank(fail), error_file=str(file))


def ended_by(sign: signal.Signals) -> ProcessFailure:
    return ProcessFailure(local_rank=1, pid=os.getpid(), exitcode=-sign, error_file="none")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (DataError("a.png: empty"), CoroNetError, "a.png: empty"),
        (MemoryError(), CoroNetError, "out of memory"),
        (ConnectionResetError("by peer"), TransientError, "Trying again may help"),
        (ValueError("a bug"), TrainingError, "training process 1 of 2 failed (ValueError: a bug)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_a_rank_says_is_the_stages_error(
    error: Exception, kind: type[CoroNetError], said: str, error_file: Path
) -> None:
    told = _error_of({0: failure(error, error_file)}, 2)
    assert type(told) is kind
    assert said in str(told)


@pytest.mark.parametrize(("sign", "kind"), [(signal.SIGKILL, TransientError), (signal.SIGSEGV, TrainingError)])
def test_a_killed_rank_may_be_tried_again_a_crashed_one_not(sign: signal.Signals, kind: type[CoroNetError]) -> None:
    told = _error_of({1: ended_by(sign)}, 2)
    assert type(told) is kind
    assert f"training process 2 of 2 was ended by {sign.name}" in str(told)


def test_what_a_rank_foresaw_goes_before_peers_that_lost_it(error_file: Path) -> None:
    told = _error_of({0: ended_by(signal.SIGKILL), 1: failure(DataError("a.png: empty"), error_file)}, 2)
    assert str(told) == "a.png: empty"


def test_a_rank_that_the_kernel_has_killed_for_memory_is_not_tried_again() -> None:
    told = _error_of({1: ended_by(signal.SIGKILL)}, 2, "Lower cin.batch_size.")
    assert type(told) is TrainingError
    assert str(told) == "training process 2 of 2 was killed: the machine ran out of memory. Lower cin.batch_size."
