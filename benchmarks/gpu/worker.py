"""The process that measures. What hangs or breaks in it costs one measurement: another process does the next."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final, Self

from benchmarks.gpu.plan import Measurement
from benchmarks.gpu.rows import Row
from benchmarks.gpu.sizes import SIZES
from tasks.runtime.compute.parent_death import die_with_parent

READY: Final = "ready"
DONE: Final = "done"
ENDS_IN_S: Final = 10.0
"""At most, of a process whose connection is closed, until its exit code is known."""
NOTICE: Final = 0.9
"""Share of its time after which a measurement begins nothing more; at the end of it its process is killed."""


@dataclass(frozen=True)
class Setting:
    """What a worker has to know."""

    device: str
    size: str
    """A name in `SIZES`."""
    reference: Path | None


class Worker:
    """A process with torch in it, the leader of its own process group."""

    def __init__(self, setting: Setting) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, setting))
        self._process.start()
        theirs.close()

    def wait_until_ready(self, seconds: float) -> None:
        """Wait for torch and the device; raises TimeoutError, or EOFError when the process has ended."""
        self._receive(time.monotonic() + seconds)

    def rows(self, measurement: Measurement, seconds: float, rows: list[Row]) -> Iterator[Row]:
        """Yield the rows of a measurement as they are found; raises as `wait_until_ready` does."""
        ends = time.monotonic() + seconds
        self._connection.send((measurement, seconds, rows))
        while (message := self._receive(ends)) != DONE:
            yield message

    def exit_code(self) -> int | None:
        """Return how the process has ended, after the seconds that it takes once its connection is closed."""
        self._process.join(ENDS_IN_S)
        return self._process.exitcode

    def _receive(self, ends: float) -> Any:
        if not self._connection.poll(max(0.0, ends - time.monotonic())):
            raise TimeoutError
        return self._connection.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process and all that it has started."""
        if self._process.pid is not None and self._process.exitcode is None:
            try:
                os.killpg(self._process.pid, SIGKILL)
            except ProcessLookupError:  # killed before it led a group
                self._process.kill()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection, setting: Setting) -> None:
    os.setsid()
    die_with_parent()
    import torch._dynamo  # what takes seconds to import is there before a measurement's time begins
    import torchvision.models  # noqa: F401

    from benchmarks.gpu.bench import Bench, is_fatal, reason_of

    device = torch.device(setting.device)
    torch.zeros(1, device=device)
    connection.send(READY)
    while True:
        try:
            measurement, seconds, rows = connection.recv()
        except EOFError:
            return
        bench = Bench(
            measurement=measurement.name,
            device=device,
            size=SIZES[setting.size],
            reference=setting.reference,
            ends=time.monotonic() + NOTICE * seconds,
            rows=rows,
            on_row=connection.send,
        )
        try:
            measurement.load()(bench)
        except Exception as error:  # noqa: BLE001  # it is in the table, and the next measurement goes on
            connection.send(Row(measurement.name, measurement.name, reason=reason_of(error)))
            if is_fatal(error):
                return
        connection.send(DONE)
