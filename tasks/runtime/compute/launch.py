"""The processes that train one network together: started, watched and ended."""

import json
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from coronet_core.learning.ranks import Ranks
from coronet_core.support.credentials import hide_in_logs, without_credentials
from coronet_core.support.errors import CoroNetError, TrainingError, TransientError
from tasks.runtime.compute.devices import has_gpu_each, leased_gpus
from tasks.runtime.compute.distributed import DistributedContext, ranks_on_host
from tasks.runtime.error_handling import ERROR_PREFIX, known_error
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import STATE
from tasks.runtime.resource_limits import memory_remedy, oom_kills

LAUNCHED_BY_STAGE = "coronet-stage"
"""torchrun's id of a run that a stage has launched itself."""
LOCALHOST = "127.0.0.1"
SECONDS_TO_END = 5


@contextmanager
def joined(params: Params) -> Iterator[DistributedContext]:
    """Join the group that torchrun has made, on a GPU each if there are enough here, else on the CPU."""
    on_gpus = has_gpu_each(ranks_on_host(), params)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo")
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    yield DistributedContext(ranks, _gpu_of(ranks, params) if on_gpus else torch.device("cpu"))
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


def exit_code_of_rank(action: Callable[[], object], stage: str | None = None) -> int:
    """Run `action`; returns 0, or 1 after reporting the error to torchrun.

    The stage that launched the ranks prints the error. Ranks that were started by hand print their own.
    """
    hide_in_logs()
    try:
        action()
    except Exception as error:  # noqa: BLE001  # any error is reported
        known = known_error(error, stage)
        shown = f"{ERROR_PREFIX}{known}" if known else without_credentials(traceback.format_exc())
        last_line = without_credentials(traceback.format_exception_only(error)[-1].strip())
        _report_to_torchrun(str(known or last_line), shown, known)
        if not _has_launcher():
            print(shown, file=sys.stderr)
        return 1
    return 0


def _report_to_torchrun(message: str, shown: str, known: CoroNetError | None) -> None:
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        extra = {
            "py_callstack": shown,
            "timestamp": str(int(time.time())),
            "is_mendable": known is not None,
            "is_transient": isinstance(known, TransientError),
        }
        Path(path).write_text(json.dumps({"message": {"message": message, "extraInfo": extra}}), encoding="utf-8")


def launch(name: str, arguments: Sequence[str], params: Params) -> None:
    """Run `python -m tasks <arguments>` as `training_processes` ranks and wait for them.

    The first rank speaks on this process's output. What the others say is kept in `.coronet/ranks/<name>` until the
    stage has succeeded. When one fails, all are ended. Raises that one's error if a user can mend it,
    TransientError if it was killed, else TrainingError.
    """
    n = params.training_processes
    gpus = leased_gpus(n, params.stages_per_gpu) if has_gpu_each(n, params) else []
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.uuid for gpu in gpus)  # the ranks'; none of them sees another
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    logs = STATE / "ranks" / name
    shutil.rmtree(logs, ignore_errors=True)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n,
        run_id=LAUNCHED_BY_STAGE,
        rdzv_backend="c10d",
        rdzv_endpoint=f"{LOCALHOST}:0",
        local_addr=LOCALHOST,
        max_restarts=0,  # the next run of the stage resumes after the last epoch
        shutdown_timeout=SECONDS_TO_END,
        logs_specs=DefaultLogsSpecs(str(logs), redirects=dict.fromkeys(range(1, n), Std.ALL)),
    )
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # one line says it: ours
    kills_before = oom_kills()
    try:
        elastic_launch(config, sys.executable)("-m", "tasks", *arguments)
    except ChildFailedError as error:
        raise _error_of(error.failures, n, memory_remedy(name) if oom_kills() != kills_before else None) from error
    except SignalException as error:
        sys.exit(128 + error.sigval)
    shutil.rmtree(logs, ignore_errors=True)


def _error_of(failures: dict[int, ProcessFailure], n: int, remedy_of_kill: str | None = None) -> CoroNetError:
    """Return the one error behind the failures: those who lost a peer fail too, and the rest were ended by us.

    With a `remedy_of_kill`, the kernel has killed a process for want of memory meanwhile.
    """
    rank, failure = min(failures.items(), key=lambda item: _rank_of_reason(item[1]))
    report = _report_of(failure)
    if _is_mendable(failure):
        return (TransientError if report["extraInfo"]["is_transient"] else CoroNetError)(report["message"])
    which = f"training process {rank + 1} of {n}"
    if failure.exitcode < 0:
        sign = signal.Signals(-failure.exitcode)
        if sign == signal.SIGKILL and remedy_of_kill is not None:
            return TrainingError(f"{which} was killed: the machine ran out of memory. {remedy_of_kill}")
        remedy = "If the machine ran out of memory, lower training_processes or batch_size. Then run the stage again."
        kind = TransientError if sign == signal.SIGKILL else TrainingError
        return kind(f"{which} was ended by {sign.name}. {remedy}")
    reason = report.get("message", f"exit code {failure.exitcode}")
    remedy = f"Its traceback is in {failure.error_file}." if report else "Run the stage again."
    return TrainingError(f"{which} failed ({reason}). {remedy}")


def _rank_of_reason(failure: ProcessFailure) -> int:
    if _is_mendable(failure):
        return 0
    if failure.exitcode < 0:
        return 3 if -failure.exitcode == signal.SIGTERM else 1
    return 2


def _is_mendable(failure: ProcessFailure) -> bool:
    return bool(_report_of(failure).get("extraInfo", {}).get("is_mendable"))


def _report_of(failure: ProcessFailure) -> dict[str, Any]:
    """Return a rank's error report; empty if it had no time to write one."""
    message: Any = failure.message
    return message if isinstance(message, dict) else {}
