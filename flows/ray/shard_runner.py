"""Shards through a Prefect task, on this machine or on a Ray cluster, a few at a time: memory does not grow."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from prefect import Task
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.ray.cluster import joined_cluster

R = TypeVar("R")
IN_FLIGHT_HERE: Final = 2
"""While one shard is at work, the next one is read."""


@dataclass(frozen=True, kw_only=True)
class ShardRunner:
    """Where shards are worked on."""

    runner: TaskRunner[Any]
    in_flight: int
    """Shards that are submitted and not yet kept, at most."""
    share: Callable[[Any], Any]
    """Puts what all shards need where it is sent once; a task is given what it returns and finds the value."""

    def run(
        self,
        task: Task[..., R],
        shards: Iterable[int],
        arguments_of: Callable[[int], dict[str, Any]],
        keep: Callable[[int, R], object],
    ) -> None:
        """Run `task` for each of `shards` within the flow that runs, and `keep` what each returns, in order.

        `arguments_of` is called when a shard's turn comes. The first that fails ends it with its exception; what was
        kept by then stays. Ray itself repeats the tasks of a node that is lost.
        """
        waiting: deque[tuple[int, PrefectFuture[R]]] = deque()
        for shard in shards:
            if len(waiting) == self.in_flight:
                _keep_next(waiting, keep)
            parameters = {"shard": shard, **arguments_of(shard)}
            waiting.append((shard, self.runner.submit(task, parameters=parameters)))
        while waiting:
            _keep_next(waiting, keep)


@contextmanager
def shard_runner(address: str | None, threads: int, device: str) -> Iterator[ShardRunner]:
    """Offer a runner for tasks of `threads` CPU threads on a `device` (cpu, cuda).

    It is on the Ray cluster at `address` or, without one, here. Raises CoroNetError when the cluster cannot be used.
    """
    if address is None:
        runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=1)
        with runner:
            yield ShardRunner(runner=runner, in_flight=IN_FLIGHT_HERE, share=lambda value: value)
        return
    with joined_cluster(address) as cluster:
        import ray  # late: an extra
        from prefect_ray import RayTaskRunner
        from prefect_ray.context import remote_options

        share = cluster.share(threads, device)
        with remote_options(num_cpus=share.cores, num_gpus=share.gpus), RayTaskRunner() as ray_runner:
            yield ShardRunner(runner=ray_runner, in_flight=share.in_flight, share=ray.put)


def _keep_next(waiting: deque[tuple[int, PrefectFuture[R]]], keep: Callable[[int, R], object]) -> None:
    shard, future = waiting.popleft()
    keep(shard, future.result())
