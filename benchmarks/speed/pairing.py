"""Two processes that take turns, one for each way of an operation, and what their times come to."""

import json
import os
import statistics
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks.speed.setting import Setting


class Worker:
    """One way of an operation in its own process: its memory is its own, and so is what its C library keeps."""

    def __init__(self, operation: str, way: str, setting: Setting) -> None:
        command = [sys.executable, "-m", "benchmarks.speed.worker", operation, way, json.dumps(setting.to_dict())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(setting.threads), "OMP_WAIT_POLICY": "passive"},
        )

    def ask(self, what: str) -> dict[str, Any]:
        """Send a line and return the answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("a worker without pipes")
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended early, exit code {self._process.wait()}")
        told: dict[str, Any] = json.loads(line)
        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            self._process.kill()
        self._process.communicate()


def in_turns(operation: str, setting: Setting, rounds: int) -> dict[str, Any]:
    """Run both ways of `operation` in turns; returns medians, ratios with their spread, memory, and the difference."""
    with Worker(operation, "plain", setting) as plain, Worker(operation, "ours", setting) as ours:
        workers = {"plain": plain, "ours": ours}
        for worker in workers.values():
            worker.ask("go")  # first passes plan and allocate
        taken = [{way: worker.ask("go") for way, worker in workers.items()} for _ in range(rounds)]
        counted = ours.ask("count")
        ended = {way: worker.ask("end") for way, worker in workers.items()}
    found, expected = (np.load(ended[way]["result"]) for way in ("ours", "plain"))
    return {
        "operation": operation,
        "seconds": {way: statistics.median(one[way]["clock"] for one in taken) for way in workers},
        "times_as_fast": {
            kind: _spread([one["plain"][kind] / one["ours"][kind] for one in taken]) for kind in ("clock", "cpu")
        },
        "peak_mib": {way: told["peak_mib"] for way, told in ended.items()},
        "before_mib": {way: told["before_mib"] for way, told in ended.items()},
        "counted": counted,
        "mean_difference": float(np.abs(found - expected).mean()),
        "mean_size": float(np.abs(expected).mean()),
    }


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
