"""Batches of concurrent items, and the bounds of the queue."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from serving.batcher import Batcher, QueueFullError


def doubled(items: Sequence[int]) -> list[int]:
    return [2 * item for item in items]


def batcher(answer_all: Any = doubled, **changes: Any) -> Batcher[int, int]:
    return Batcher(answer_all, **({"batch_items": 4, "wait_s": 0.05, "queue_items": 8} | changes))


def test_every_item_gets_its_own_answer() -> None:
    async def ask() -> list[list[int]]:
        async with batcher() as one:
            return await asyncio.gather(*(one.answer([n, n + 100]) for n in range(4)))

    assert asyncio.run(ask()) == [[2 * n, 2 * n + 200] for n in range(4)]


def test_items_of_concurrent_requests_share_batches_of_bounded_size() -> None:
    sizes: list[int] = []

    async def ask() -> None:
        async with batcher(on_batch=sizes.append) as one:
            await asyncio.gather(*(one.answer([n]) for n in range(6)))

    asyncio.run(ask())
    assert sum(sizes) == 6
    assert sizes[0] == 4


def test_without_waiting_an_item_alone_is_a_batch() -> None:
    async def ask() -> list[int]:
        async with batcher(wait_s=0) as one:
            return await one.answer([1])

    assert asyncio.run(ask()) == [2]


def test_what_does_not_fit_the_queue_is_refused_whole() -> None:
    may_go_on = threading.Event()

    def slow(items: Sequence[int]) -> list[int]:
        may_go_on.wait(10)
        return doubled(items)

    async def ask() -> tuple[int, list[int]]:
        async with batcher(slow, batch_items=1, wait_s=0) as one:
            first = asyncio.create_task(one.answer([1]))
            await asyncio.sleep(0.02)  # it is in work
            others = asyncio.create_task(one.answer(list(range(6))))
            await asyncio.sleep(0.01)
            waiting = one.waiting
            with pytest.raises(QueueFullError):
                await one.answer([1, 2, 3])
            assert one.waiting == waiting
            may_go_on.set()
            await first
            return waiting, await others

    waiting, answers = asyncio.run(ask())
    assert waiting >= 5
    assert answers == doubled(range(6))


def test_an_error_reaches_those_of_its_batch_and_the_next_batch_is_answered() -> None:
    def fails_on_zero(items: Sequence[int]) -> list[int]:
        if 0 in items:
            raise ValueError("zero")
        return doubled(items)

    async def ask() -> list[int]:
        async with batcher(fails_on_zero) as one:
            with pytest.raises(ValueError, match="zero"):
                await one.answer([0, 1])
            return await one.answer([1])

    assert asyncio.run(ask()) == [2]


def test_items_whose_client_has_gone_are_not_answered() -> None:
    may_go_on, seen = threading.Event(), []

    def slow(items: Sequence[int]) -> list[int]:
        may_go_on.wait(10)
        seen.extend(items)
        return doubled(items)

    async def ask() -> None:
        async with batcher(slow, batch_items=1, wait_s=0) as one:
            first = asyncio.create_task(one.answer([1]))
            await asyncio.sleep(0.02)
            gone = asyncio.create_task(one.answer([2]))
            await asyncio.sleep(0.02)
            gone.cancel()
            await asyncio.sleep(0)
            may_go_on.set()
            await first
            await one.answer([3])

    asyncio.run(ask())
    assert seen == [1, 3]
