"""A Ray cluster that a flow fans out on: one that runs already, or one on this machine for as long as it is needed.

The workers share no path with this process. The project's code goes to them with the job, so that they run what the
driver runs; the libraries (`coronet[ray]`) must be installed there. Data goes through Ray's object store.
"""

import importlib.util
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil
from prefect.settings import PREFECT_API_URL, temporary_settings

from coronet_core.common.cpu_count import usable_cores
from coronet_core.support.errors import CoroNetError
from flows.project.preconditions import require_ray
from flows.project.workspace import PACKAGES

LOCAL: Final = "local"
SPARE_SHARDS: Final = 2
"""Shards in flight beyond those at work, so that no worker waits for the driver to read or to write."""
KNOCK_TIMEOUT_S: Final = 10.0
QUIET: Final = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
"""No report home, no token in the home folder, and no change of CUDA's variables where Ray is not asked for a GPU."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A machine of a cluster."""

    cores: int
    gpus: int

    def tasks(self, cores: int, gpus: int) -> int:
        """Return how many tasks that need so many cores and GPUs it runs at once."""
        return min(self.cores // cores, self.gpus // gpus if gpus else self.cores)


@dataclass(frozen=True, kw_only=True)
class Share:
    """What Ray sets aside for each task, and how many tasks are submitted at once."""

    cores: int
    gpus: int
    in_flight: int


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The machines to fan out on."""

    nodes: tuple[Node, ...]

    def share(self, threads: int, device: str) -> Share:
        """Return the share of a task of `threads` CPU threads, on a GPU if `device` is cuda.

        A task has as many threads as the same work has on the driver, since they decide the last bits. Where no node
        has so many cores, its threads share those that there are. Raises CoroNetError if the cluster has no room.
        """
        cores, gpus = max(1, min(threads, max(node.cores for node in self.nodes))), int(device == "cuda")
        at_once = sum(node.tasks(cores, gpus) for node in self.nodes)
        if at_once == 0:
            raise CoroNetError(
                f"the Ray cluster has no node with {cores} CPU cores"
                + (" and a GPU. Set device to cpu, or add such a node." if gpus else ". Add one.")
            )
        return Share(cores=cores, gpus=gpus, in_flight=at_once + SPARE_SHARDS)


@contextmanager
def joined_cluster(address: str) -> Iterator[Cluster]:
    """Join the Ray cluster at `address`, or start one on this machine for `local`; leave or end it on exit.

    Addresses are Ray's: `auto` for the cluster that this machine is part of, `ray://host:10001`, `host:6379`. Raises
    CoroNetError if Ray is not installed, the cluster cannot be joined, or its workers could not report to Prefect.
    """
    require_ray()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    started: dict[str, Any] = {"num_cpus": usable_cores(), "include_dashboard": False} if address == LOCAL else {}
    try:
        _knock(address)
        ray.init(
            address,
            runtime_env={"py_modules": _packages(), "excludes": ["__pycache__"]},
            log_to_driver=False,
            configure_logging=False,
            **started,
        )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CoroNetError(
            f"--ray {address}: cannot join this Ray cluster ({reason}). Check the address, that `ray status` works "
            "there, and that it runs the same versions of Python and Ray; or give local."
        ) from error
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        with _reachable_api([node["NodeManagerAddress"] for node in nodes]):
            yield Cluster(nodes=tuple(_node(node["Resources"]) for node in nodes))
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError if nobody listens at `address`: Ray would try for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.hostname and parts.port:
        socket.create_connection((parts.hostname, parts.port), timeout=KNOCK_TIMEOUT_S).close()


def _node(resources: dict[str, float]) -> Node:
    return Node(cores=int(resources.get("CPU", 0)), gpus=int(resources.get("GPU", 0)))


def _packages() -> list[str]:
    """Return the folders of the project's packages, those that this process has imported."""
    specs = [importlib.util.find_spec(name) for name in PACKAGES]
    return [str(Path(spec.origin).parent) for spec in specs if spec is not None and spec.origin is not None]


@contextmanager
def _reachable_api(nodes: list[str]) -> Iterator[None]:
    """Give workers the Prefect server to report to: the one in force or, without one, the flow's temporary server."""
    url = PREFECT_API_URL.value()
    if not url:
        from prefect.server.api.server import SubprocessASGIServer  # late: two seconds

        server = SubprocessASGIServer()
        server.start()
        url = server.api_url
    elsewhere = sorted(set(nodes) - _own_addresses())
    if elsewhere and _is_loopback(url):
        raise CoroNetError(
            f"the Ray cluster has nodes on other machines ({elsewhere[0]}), which do not reach Prefect's server at "
            f"{url}. Set PREFECT_API_URL to a server that they reach."
        )
    with temporary_settings({PREFECT_API_URL: url}):
        yield


def _own_addresses() -> set[str]:
    return {one.address for addresses in psutil.net_if_addrs().values() for one in addresses}


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(socket.gethostbyname(host)).is_loopback
    except (OSError, ValueError):
        return False
