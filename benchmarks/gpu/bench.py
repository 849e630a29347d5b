"""What a measurement is given: the device, the sizes, its share of the time, and where its rows go."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from benchmarks.gpu.rows import Figure, NotMeasuredError, Row, figure_of
from benchmarks.gpu.sizes import Size

Figures = dict[str, Figure]
LONGEST_REASON: Final = 200


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One measurement under way."""

    measurement: str
    device: torch.device
    size: Size
    reference: Path | None
    """The folder of golden values and released weights, if there is one."""
    ends: float
    """By `time.monotonic()`."""
    rows: list[Row]
    """Of this run, so far."""
    on_row: Callable[[Row], object]

    @property
    def seconds_left(self) -> float:
        """What is left of this measurement's share of the time."""
        return self.ends - time.monotonic()

    def figure(self, name: str, figure: str) -> float | None:
        """Return a figure that was measured before, or None."""
        return figure_of(self.rows, name, figure)

    def row(self, name: str, action: Callable[[], Figures]) -> None:
        """Add the figures that `action` returns, or the reason why it does not; an error ends the row alone.

        An error that leaves CUDA unusable in this process is raised.
        """
        if self.seconds_left <= 0:
            self._add(Row(self.measurement, name, reason="no time left of this measurement's share"))
            return
        self._forget()
        try:
            figures = action()
        except Exception as error:
            self._add(Row(self.measurement, name, reason=reason_of(error)))
            if is_fatal(error):
                raise
        else:
            self._add(Row(self.measurement, name, figures | self._peak()))

    def seconds_of(self, action: Callable[[], object]) -> float:
        """Return the seconds that a call of `action` takes: the median of blocks of calls, warmed up."""
        size = self.size
        for _ in range(size.warm_up):
            action()
        calls = max(1, int(size.timed_s / size.blocks / self._block(action, 1)))
        return statistics.median(self._block(action, calls) for _ in range(size.blocks))

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _block(self, action: Callable[[], object], calls: int) -> float:
        self.synchronize()
        began = time.perf_counter()
        for _ in range(calls):
            action()
        self.synchronize()
        return (time.perf_counter() - began) / calls

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        self.on_row(row)

    def _peak(self) -> Figures:
        if self.device.type != "cuda":
            return {}
        return {"peak_gib": torch.cuda.max_memory_allocated(self.device) / 2**30}

    def _forget(self) -> None:
        """Give back the memory that the row before has left."""
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


def reason_of(error: Exception) -> str:
    """Return one line of why something was not measured."""
    if isinstance(error, NotMeasuredError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:LONGEST_REASON]


def is_fatal(error: Exception) -> bool:
    """Whether no further kernel runs in this process: an illegal access, say. Running out of memory is not."""
    return type(error).__name__ != "OutOfMemoryError" and "CUDA error" in str(error)


def fitting(candidates: Sequence[int], action: Callable[[int], Figures]) -> Figures:
    """Return what `action` returns for the first of `candidates`, descending, for which the memory suffices."""
    for candidate in candidates:
        try:
            return action(candidate)
        except torch.OutOfMemoryError:
            gc.collect()
            torch.cuda.empty_cache()
    raise NotMeasuredError(f"out of memory, with {candidates[-1]} too")
