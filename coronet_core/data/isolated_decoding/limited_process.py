"""A process that does one piece of work after another within limits of time and memory; begun anew when it ends.

Each has its own pipe. Pools whose processes share one lose work, or all of it, when a process dies at a bad moment.
"""

import multiprocessing
import resource
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from threading import Lock
from typing import Any, Final, TypeVar

import psutil

from coronet_core.data.reading.radiograph import TOO_MUCH_MEMORY
from coronet_core.support.errors import DataError

Made = TypeVar("Made")

WAIT_FACTOR: Final = 10.0
"""Times the CPU time, by the clock: for work that waits without computing, and machines with other work."""
CONTEXT: Final = multiprocessing.get_context("forkserver")
"""Its server has imported what decoding needs, so that a new process is there at once."""
CONTEXT.set_forkserver_preload(["coronet_core.data.reading.image"])


@dataclass(frozen=True)
class Ended:
    """The end of a process instead of a result."""

    exitcode: int | None
    """Minus the number of a signal; None if it was ended here for having taken too long."""

    def __str__(self) -> str:
        try:
            return signal.Signals(-(self.exitcode or 0)).name
        except ValueError:
            return f"exit code {self.exitcode}"


class LimitedProcess:
    """The process, begun when there is something to do. Used by one thread at a time; two methods by any."""

    def __init__(self, memory_bytes: int) -> None:
        """Grant each piece of work `memory_bytes` beside what the process has at its beginning."""
        self._memory_bytes = memory_bytes
        self._begun: tuple[Any, Connection] | None = None
        self._work: object = None
        self._lock = Lock()
        self._is_closed = False

    def do(self, work: Callable[[], Made], cpu_s: float) -> Made | Ended:
        """Return what `work` returns within `cpu_s` of computing time, or how the process has ended.

        Raises what `work` raises. It, its result and what it raises are pickled.
        """
        process, connection = self._living()
        with self._lock:
            self._work = work
        try:
            connection.send((cpu_s, work))
            if not wait([connection, process.sentinel], WAIT_FACTOR * cpu_s):
                self._end(process)
                return Ended(None)
            is_made, made = connection.recv()
        except (EOFError, OSError):  # it has ended
            process.join()
            return Ended(process.exitcode)
        finally:
            with self._lock:
                self._work = None
        if not is_made:
            raise made
        result: Made = made
        return result

    def interrupt(self, work: object) -> None:
        """End the process if it does `work`; the next piece of work gets another one, however late the end is seen."""
        with self._lock:
            if self._work is work and self._begun is not None:
                self._end(self._begun[0])
                self._begun = None

    def close(self) -> None:
        """End the process for good."""
        with self._lock:
            self._is_closed = True
            if self._begun is not None:
                self._end(self._begun[0])

    def _living(self) -> tuple[Any, Connection]:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("closed")
            if self._begun is None or not self._begun[0].is_alive():
                here, there = CONTEXT.Pipe()
                process = CONTEXT.Process(target=_work_on, args=(there, self._memory_bytes), daemon=True)
                process.start()
                there.close()  # so that the end of the process is the end of what comes from it
                self._begun = process, here
            return self._begun

    @staticmethod
    def _end(process: Any) -> None:
        process.kill()
        process.join()


def _work_on(connection: Connection, memory_bytes: int) -> None:
    """Do what comes, until nothing more will."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program above, whose end is this one's
    _limit(resource.RLIMIT_AS, psutil.Process().memory_info().vms + memory_bytes)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # of what somebody has sent, no core file is left
    with suppress(EOFError, OSError):
        while True:
            cpu_s, work = connection.recv()
            connection.send(_outcome(cpu_s, work))


def _outcome(cpu_s: float, work: Callable[[], Any]) -> tuple[bool, Any]:
    """Do `work`; the system ends this process when it has computed for `cpu_s`."""
    _limit(resource.RLIMIT_CPU, int(time.process_time() + cpu_s) + 1)
    try:
        return True, work()
    except MemoryError:
        return False, DataError(TOO_MUCH_MEMORY)
    except Exception as error:  # noqa: BLE001  # whatever it raises, the one who asked for it gets it
        return False, error
    finally:
        _limit(resource.RLIMIT_CPU, resource.RLIM_INFINITY)


def _limit(kind: int, amount: int) -> None:
    """Limit this process, by no more than the system allows it anyway."""
    hard = resource.getrlimit(kind)[1]
    amounts = [limit for limit in (amount, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(kind, (min(amounts, default=resource.RLIM_INFINITY), hard))
