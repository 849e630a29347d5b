"""Images of concurrent requests, through the networks together.

A batch starts with the first image that waits; it is closed when it is full or its time is up. While the networks work,
the next one fills, so under load nobody waits for the time to be up.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from coronet_core.support.callbacks import noop

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class QueueFullError(Exception):
    """More is waiting than may."""


@dataclass(frozen=True)
class _Waiting(Generic[Item, Answer]):
    item: Item
    answer: asyncio.Future[Answer]


class Batcher(Generic[Item, Answer]):
    """A bounded queue before one thread that answers items in batches."""

    def __init__(
        self,
        answer_all: Callable[[Sequence[Item]], Sequence[Answer]],
        *,
        batch_items: int,
        wait_s: float,
        queue_items: int,
        on_batch: Callable[[int], object] = noop,
    ) -> None:
        """`answer_all` runs in the thread; it returns an answer for each item, in order. `on_batch` hears each size."""
        self._answer_all = answer_all
        self._batch_items = batch_items
        self._wait_s = wait_s
        self._queue_items = queue_items
        self._on_batch = on_batch
        self._queue: asyncio.Queue[_Waiting[Item, Answer]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="networks")
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
        while not self._queue.empty():
            self._queue.get_nowait().answer.cancel()
        self._thread.shutdown()

    @property
    def waiting(self) -> int:
        """Items in the queue."""
        return self._queue.qsize()

    @property
    def is_full(self) -> bool:
        """Whether not even one more item may wait."""
        return self.waiting >= self._queue_items

    @property
    def is_running(self) -> bool:
        """Whether what is queued will be answered."""
        return self._loop is not None and not self._loop.done()

    async def answer(self, items: Sequence[Item]) -> list[Answer]:
        """Return the answers to `items`, in order. Raises QueueFullError, with nothing queued, if they do not fit."""
        if self.waiting + len(items) > self._queue_items:
            raise QueueFullError
        loop = asyncio.get_running_loop()
        waiting = [_Waiting[Item, Answer](item, loop.create_future()) for item in items]
        for one in waiting:
            self._queue.put_nowait(one)
        return list(await asyncio.gather(*(one.answer for one in waiting)))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [one for one in await self._collect() if not one.answer.cancelled()]  # its client has gone
            if not batch:
                continue
            self._on_batch(len(batch))
            try:
                answers = await loop.run_in_executor(self._thread, self._answer_all, [one.item for one in batch])
            except asyncio.CancelledError:
                for one in batch:
                    one.answer.cancel()
                raise
            except Exception as error:  # noqa: BLE001  # whoever asked gets it; the next batch goes on
                for one in batch:
                    if not one.answer.done():
                        one.answer.set_exception(error)
                continue
            for one, answer in zip(batch, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)

    async def _collect(self) -> list[_Waiting[Item, Answer]]:
        batch = [await self._queue.get()]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait_s):
                while len(batch) < self._batch_items:
                    batch.append(await self._queue.get())
        return batch
