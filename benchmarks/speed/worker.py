"""One way of one operation in a process of its own: `python -m benchmarks.speed.worker OPERATION WAY SETTING`.

On standard input `go` makes it run the action and answer with a line of JSON, seconds on the clock and of the CPU;
`count` tell what the action computes; `end` write the result to a file and tell its largest memory.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.floor import count
from benchmarks.speed.operations import OPERATIONS
from benchmarks.speed.setting import Setting
from tasks.runtime.compute.cpu import keep_freed_memory

KIB = 1024


def main() -> None:
    """Serve the parent until it says `end`."""
    name, way, told = sys.argv[1:]
    setting = Setting(**json.loads(told))
    torch.set_num_threads(setting.threads)
    if way == "ours":
        keep_freed_memory()  # as the stages do
    before_mib = _peak_mib(setting)
    work = OPERATIONS[name][("plain", "ours").index(way)](setting)
    for line in sys.stdin:
        match line.strip():
            case "go":
                _say(_timed(work.action, setting))
            case "count":
                _say(count(work.action))
            case _:
                break
    result = Path(setting.folder) / f"{way}-result.npy"
    np.save(result, work.result())
    _say({"peak_mib": _peak_mib(setting), "before_mib": before_mib, "result": str(result)})


def _timed(action: Callable[[], object], setting: Setting) -> dict[str, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    action()
    if setting.device == "cuda":
        torch.cuda.synchronize()
    return {"clock": time.perf_counter() - clock, "cpu": time.process_time() - cpu}


def _peak_mib(setting: Setting) -> float:
    if setting.device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status").read_text(encoding="ascii")  # getrusage would tell the parent's, if larger
    return int(status.split("VmHWM:")[1].split()[0]) / KIB


def _say(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
