"""A stage as one of several training processes (ranks) that torchrun has started, by itself or by hand."""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.distributed as dist

from coronet_core.learning.ranks import Ranks
from coronet_core.support.credentials import hide_in_logs, without_credentials
from coronet_core.support.errors import CoroNetError, TransientError
from tasks.runtime.compute.devices import has_gpu_each, leased_gpus
from tasks.runtime.compute.distributed import Seat, ranks_on_host
from tasks.runtime.error_handling import ERROR_PREFIX, foreseen
from tasks.runtime.params.schema import Params

LAUNCHED_BY_STAGE = "coronet-stage"
"""torchrun's id of a run that a stage has launched itself, see tasks/runtime/compute/launch.py."""


@contextmanager
def joined(params: Params) -> Iterator[Seat]:
    """Join the group that torchrun has made, on a GPU each if there are enough here, else on the CPU."""
    on_gpus = has_gpu_each(ranks_on_host(), params)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo")
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    yield Seat(ranks, _gpu_of(ranks, params) if on_gpus else torch.device("cpu"))
    dist.destroy_process_group()  # not after an error: the others may never come to it


def _gpu_of(ranks: Ranks, params: Params) -> torch.device:
    """Return this rank's GPU. A stage that launches its ranks leases theirs; by hand, each host's first rank does."""
    own = int(os.environ["LOCAL_RANK"])
    index = own
    if not _has_launcher():
        leased = [gpu.index for gpu in leased_gpus(ranks_on_host(), params.stages_per_gpu)] if own == 0 else []
        of_all: list[list[int]] = [[] for _ in range(ranks.size)]
        dist.all_gather_object(of_all, leased)
        index = of_all[ranks.rank - own][own]
    device = torch.device("cuda", index)
    torch.cuda.set_device(device)
    return device


def _has_launcher() -> bool:
    return os.environ.get("TORCHELASTIC_RUN_ID") == LAUNCHED_BY_STAGE


def exit_code_of_rank(action: Callable[[], object]) -> int:
    """Run `action`; returns 0, or 1 after having told torchrun what went wrong.

    The stage that launched the ranks speaks for all of them. By hand nobody does, and each rank speaks for itself.
    """
    hide_in_logs()
    try:
        action()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        known = foreseen(error)
        told = f"{ERROR_PREFIX}{known}" if known else without_credentials(traceback.format_exc())
        last_line = without_credentials(traceback.format_exception_only(error)[-1].strip())
        _tell_torchrun(str(known or last_line), told, known)
        if not _has_launcher():
            print(told, file=sys.stderr)
        return 1
    return 0


def _tell_torchrun(message: str, told: str, known: CoroNetError | None) -> None:
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        extra = {
            "py_callstack": told,
            "timestamp": str(int(time.time())),
            "is_mendable": known is not None,
            "is_transient": isinstance(known, TransientError),
        }
        Path(path).write_text(json.dumps({"message": {"message": message, "extraInfo": extra}}), encoding="utf-8")
