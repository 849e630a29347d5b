"""Shards through a Prefect task, a few at a time: memory does not grow with their number."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from prefect import Task
from prefect.futures import PrefectFuture

R = TypeVar("R")


def fan_out(
    task: Task[..., R],
    shards: Iterable[int],
    arguments_of: Callable[[int], dict[str, Any]],
    keep: Callable[[int, R], object],
    in_flight: int,
) -> None:
    """Submit `task` for each of `shards` to the task runner of the flow that runs, and `keep` what each returns.

    `arguments_of` is called when a shard's turn comes; at most `in_flight` shards are submitted and not yet kept. They
    are kept in order. The first that fails ends it with its exception; what was kept by then stays.
    """
    waiting: deque[tuple[int, PrefectFuture[R]]] = deque()
    for shard in shards:
        if len(waiting) == in_flight:
            _keep_next(waiting, keep)
        waiting.append((shard, task.submit(shard=shard, **arguments_of(shard))))
    while waiting:
        _keep_next(waiting, keep)


def _keep_next(waiting: deque[tuple[int, PrefectFuture[R]]], keep: Callable[[int, R], object]) -> None:
    shard, future = waiting.popleft()
    keep(shard, future.result())
