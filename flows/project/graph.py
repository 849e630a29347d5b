"""The DAG as DVC knows it: which stages there are, and what each waits for. `dvc.yaml` is the one place of edges."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import Repo
from dvc.stage.cache import RunCacheNotFoundError
from dvc_data.hashfile.hash_info import HashInfo
from networkx import transitive_reduction

from coronet_core.support.errors import CoroNetError
from flows.project.raw_data import lacking_raw_data_alone


@dataclass(frozen=True)
class Stage:
    """A stage of `dvc.yaml`."""

    name: str
    """As DVC addresses it: `train_autoencoder@healthy`."""
    upstream: tuple[str, ...]
    """The stages that it waits for, less those that one of these waits for."""
    tags: tuple[str, ...] = ()
    """Of its task in Prefect: what `dvc.yaml` has under `meta`."""
    is_settled: bool = False
    """Whether it is known to be up to date, so that DVC need not be asked again."""


def read_graph() -> list[Stage]:
    """Return the stages of the project in the current folder, each behind all that it waits for.

    Raises CoroNetError when `dvc.yaml` cannot be read.
    """
    try:
        with Repo(".") as repo:
            graph = transitive_reduction(repo.index.graph)  # an edge leads from a stage to one that it waits for
            upstream = {stage.addressing: sorted(up.addressing for up in graph.successors(stage)) for stage in graph}
            tags = {stage.addressing: tuple((stage.meta or {}).get("tags", ())) for stage in graph}
    except DvcException as error:
        raise CoroNetError(f"dvc.yaml: {error}. Correct it, or restore it with git.") from error
    return [Stage(name, tuple(upstream[name]), tags[name]) for name in TopologicalSorter(upstream).static_order()]


def leading_to(last: str, stages: list[Stage]) -> list[Stage]:
    """Return those of `stages` without which `last` cannot be run, and itself.

    Raises CoroNetError when there is no such stage.
    """
    if last not in {stage.name for stage in stages}:
        raise CoroNetError(f"{last}: no such stage. Stages are {', '.join(stage.name for stage in stages)}.")
    needed = {last}
    for stage in reversed(stages):
        if stage.name in needed:
            needed |= set(stage.upstream)
    return [stage for stage in stages if stage.name in needed]


def settled(stages: list[Stage], stale: Collection[str]) -> list[Stage]:
    """Return `stages`, those marked as settled that neither are among `stale` nor wait for one that may be."""
    open_ones: set[str] = set()
    for stage in stages:
        if stage.name in stale or not open_ones.isdisjoint(stage.upstream):
            open_ones.add(stage.name)
    return [replace(stage, is_settled=stage.name not in open_ones) for stage in stages]


def stale_stages(names: Iterable[str], folder: Path = Path()) -> list[str]:
    """Return those of `names` that DVC would run now, because params, code, data or outs differ from `dvc.lock`.

    `folder` is the project's. A stage behind a stale one may turn out to be stale or not: that depends on what the
    first one makes. Raw data that are not here, as in a clone that has pulled the split alone, make nothing stale.
    """
    try:
        with Repo(str(folder)) as repo:
            changes = {address.rpartition(":")[2]: found for address, found in repo.status().items()}
            not_judged = lacking_raw_data_alone(repo, changes)
    except LockError as error:
        raise CoroNetError("DVC is running in another process. Wait for it, then try again.") from error
    except DvcException as error:
        raise CoroNetError(f"DVC cannot tell what is outdated: {error}.") from error
    return [name for name in names if name in changes.keys() - not_judged]


def will_run(name: str) -> bool:
    """Say whether DVC would run the stage `name` now: it is stale, and the cache has no run of the same to restore."""
    if not stale_stages([name]):
        return False
    with Repo(".") as repo:
        (stage,) = repo.stage.load_all(name=name)
        if not stage.deps_cached():  # by default a dry restore takes the digests of the last run for those of today
            stage.save_deps(allow_missing=True)
            for out in stage.outs:
                out.hash_info = HashInfo()
        try:
            repo.stage_cache.restore(stage, dry=True)
        except RunCacheNotFoundError:
            return True
    return False
