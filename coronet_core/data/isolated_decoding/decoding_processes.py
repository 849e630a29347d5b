"""Decoding in processes of their own, with limits of time and memory: files from outside may be hostile or broken.

A file that costs too much, or crashes a decoder's library, ends one such process and is refused; all others go on.
"""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self, TypeVar

from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.literals import Aspect, Reading
from coronet_core.data.isolated_decoding.limited_process import Ended, LimitedProcess
from coronet_core.data.reading.image import DecodedImage, decode
from coronet_core.support.errors import DataError

Made = TypeVar("Made")

CPU_S: Final = 20.0
"""Time of a core for one file: several times what the largest X-ray takes."""
MEMORY_BYTES: Final = 4 * 2**30
"""For one file, beside the libraries: twice what the largest X-ray takes."""
ATTEMPTS: Final = 2
"""For a process that something else has killed, such as the system for want of memory."""


class Decoders:
    """Processes that decode; a context manager. Each begins with its first file. Several threads may use them."""

    def __init__(self, processes: int | None = None, *, cpu_s: float = CPU_S, memory_bytes: int = MEMORY_BYTES) -> None:
        """Have as many as there are usable cores, or `processes`; each file may take `cpu_s` and `memory_bytes`."""
        self._cpu_s = cpu_s
        self._all = [LimitedProcess(memory_bytes) for _ in range(processes or usable_cores())]
        self._idle: SimpleQueue[LimitedProcess] = SimpleQueue()
        for process in self._all:
            self._idle.put(process)
        self._threads = ThreadPoolExecutor(len(self._all), thread_name_prefix="decoders")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, whatever they do."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in self._all:
            process.close()

    def decode(self, content: bytes, image_size_px: int, aspect: Aspect, reading: Reading) -> DecodedImage:
        """Decode an image as `image.decode` does."""
        return self.run(decode, content, image_size_px, aspect, reading)

    def run(self, action: Callable[..., Made], *arguments: object) -> Made:
        """Return what `action`, a function of a module, makes of `arguments` in one of the processes.

        Raises what it raises, and DataError if it takes too much time or memory or ends its process.
        """
        work = partial(action, *arguments)
        for _ in range(ATTEMPTS):
            made = self._done(work)
            if not isinstance(made, Ended) or made.exitcode != -signal.SIGKILL:
                break
        return self._result(made)

    async def run_async(self, action: Callable[..., Made], *arguments: object) -> Made:
        """Do the same without blocking, once; when it is cancelled, so is the work, even if it has begun."""
        work = partial(action, *arguments)
        try:
            return self._result(await asyncio.get_running_loop().run_in_executor(self._threads, self._done, work))
        except asyncio.CancelledError:
            for process in self._all:
                process.interrupt(work)
            raise

    def _done(self, work: "partial[Made]") -> Made | Ended:
        process = self._idle.get()
        try:
            return process.do(work, self._cpu_s)
        finally:
            self._idle.put(process)

    def _result(self, made: Made | Ended) -> Made:
        if not isinstance(made, Ended):
            return made
        if made.exitcode in (None, -signal.SIGXCPU):
            raise DataError(f"takes more than {self._cpu_s:g} s to decode")
        raise DataError(f"crashes its decoder ({made})")
