"""What a Ray cluster has room for, and the errors of one that cannot be used. No cluster is started here."""

import importlib.util

import psutil
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from coronet_core.support.errors import CoroNetError
from flows.project.preconditions import require_ray
from flows.ray.cluster import SPARE_SHARDS, Cluster, Node, _reachable_api, joined_cluster
from flows.ray.dispatch import STAGE as FANNED_OUT
from flows.ray.dispatch import fan_out_if_due, on_ray
from tasks.materialize_residuals.residual_shards import STAGE

TWO_NODES = Cluster(nodes=(Node(cores=4, gpus=0), Node(cores=9, gpus=1)))
ELSEWHERE = "203.0.113.7"


@pytest.mark.parametrize(
    ("threads", "device", "cores", "at_once"),
    [
        (1, "cpu", 1, 13),
        (4, "cpu", 4, 3),
        (8, "cpu", 8, 1),
        (64, "cpu", 9, 1),  # no node has 64 cores: the threads share nine
        (4, "cuda", 4, 1),
    ],
)
def test_a_task_has_the_cores_of_its_threads_as_far_as_a_node_has_them(
    threads: int, device: str, cores: int, at_once: int
) -> None:
    share = TWO_NODES.share(threads, device)
    assert (share.cores, share.in_flight) == (cores, at_once + SPARE_SHARDS)


def test_a_gpu_is_asked_for_where_the_networks_run_on_one() -> None:
    assert (TWO_NODES.share(4, "cuda").gpus, TWO_NODES.share(4, "cpu").gpus) == (1, 0)


def test_a_cluster_without_gpu_is_refused_where_one_is_needed() -> None:
    with pytest.raises(CoroNetError, match=r"no node with 2 CPU cores and a GPU\. Set device to cpu"):
        Cluster(nodes=(Node(cores=2, gpus=0),)).share(2, "cuda")


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(CoroNetError, match=r"pip install 'coronet\[ray\]'"):
        require_ray()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_an_address_where_nobody_listens_is_said_at_once(address: str) -> None:
    pytest.importorskip("ray", reason="needs the extra coronet[ray]")
    with pytest.raises(CoroNetError, match=f"--ray {address}: cannot join this Ray cluster"), joined_cluster(address):
        pass


def test_nodes_elsewhere_need_a_prefect_server_that_they_reach() -> None:
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4200/api"}),
        pytest.raises(CoroNetError, match=f"{ELSEWHERE}.*Set PREFECT_API_URL"),
        _reachable_api([ELSEWHERE]),
    ):
        pass


def test_nodes_of_this_machine_may_use_its_own_prefect_server() -> None:
    here = next(iter(psutil.net_if_addrs().values()))[0].address
    url = "http://127.0.0.1:4200/api"
    with temporary_settings({PREFECT_API_URL: url}), _reachable_api([here]):
        assert PREFECT_API_URL.value() == url


def test_without_an_address_nothing_goes_to_a_cluster() -> None:
    assert on_ray(None) == {}
    fan_out_if_due(FANNED_OUT, on_ray(None))  # outside a project: it would raise


def test_the_stage_that_is_fanned_out_is_the_one_that_keeps_shards() -> None:
    assert FANNED_OUT == STAGE
