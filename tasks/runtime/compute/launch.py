"""A stage that starts itself several times over, as ranks that train together, through torchrun's elastic launcher."""

import logging
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from coronet_core.support.errors import CoroNetError, TrainingError, TransientError
from tasks.runtime.compute.devices import has_gpu_each, leased_gpus
from tasks.runtime.compute.rank_processes import LAUNCHED_BY_STAGE
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import STATE

LOCALHOST = "127.0.0.1"
SECONDS_TO_END = 5


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
        max_restarts=0,  # the next run of the stage goes on from the last epoch
        shutdown_timeout=SECONDS_TO_END,
        logs_specs=DefaultLogsSpecs(str(logs), redirects=dict.fromkeys(range(1, n), Std.ALL)),
    )
    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # one line says it: ours
    try:
        elastic_launch(config, sys.executable)("-m", "tasks", *arguments)
    except ChildFailedError as error:
        raise _error_of(error.failures, n) from error
    except SignalException as error:
        sys.exit(128 + error.sigval)
    shutil.rmtree(logs, ignore_errors=True)


def _error_of(failures: dict[int, ProcessFailure], n: int) -> CoroNetError:
    """Return the one error behind the failures: those who lost a peer fail too, and the rest were ended by us."""
    rank, failure = min(failures.items(), key=lambda item: _rank_of_reason(item[1]))
    told = _told_by(failure)
    if _is_mendable(failure):
        return (TransientError if told["extraInfo"]["is_transient"] else CoroNetError)(told["message"])
    which = f"training process {rank + 1} of {n}"
    if failure.exitcode < 0:
        sign = signal.Signals(-failure.exitcode)
        remedy = "If the machine ran out of memory, lower training_processes or batch_size. Then run the stage again."
        kind = TransientError if sign == signal.SIGKILL else TrainingError
        return kind(f"{which} was ended by {sign.name}. {remedy}")
    reason = told.get("message", f"exit code {failure.exitcode}")
    remedy = f"Its traceback is in {failure.error_file}." if told else "Run the stage again."
    return TrainingError(f"{which} failed ({reason}). {remedy}")


def _rank_of_reason(failure: ProcessFailure) -> int:
    if _is_mendable(failure):
        return 0
    if failure.exitcode < 0:
        return 3 if -failure.exitcode == signal.SIGTERM else 1
    return 2


def _is_mendable(failure: ProcessFailure) -> bool:
    return bool(_told_by(failure).get("extraInfo", {}).get("is_mendable"))


def _told_by(failure: ProcessFailure) -> dict[str, Any]:
    """Return what a rank has told of its end, see rank_processes.py; nothing if it had no time to."""
    message: Any = failure.message
    return message if isinstance(message, dict) else {}
