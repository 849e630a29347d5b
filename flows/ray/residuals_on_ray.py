"""The flow `residuals-on-ray`: the residual tensors on a Ray cluster, shard by shard."""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from coronet_core.common.classes import ClassName
from flows.ray.shard_runner import shard_runner
from tasks.materialize_residuals.residual_shards import ResidualShards
from tasks.networks.trained_tfen import ResidualShard, compute_shard, tfen_from
from tasks.runtime.compute.cpu import count_denormals_as_zero, use_cpu_threads
from tasks.runtime.compute.devices import device_type
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.paths import autoencoder_weights

AUTOENCODERS: Final[tuple[ClassName, ...]] = ("healthy", "pneumonia")


@flow(name="residuals-on-ray", flow_run_name="residuals-on-ray", validate_parameters=False)
def residuals_on_ray(address: str) -> None:
    """Compute on the Ray cluster at `address` the shards that the project in the current folder lacks.

    Each is kept as it comes back. Raises CoroNetError when the cluster cannot be used.
    """
    params = read_params()
    use_cpu_threads(share=1)
    threads, device = torch.get_num_threads(), device_type(params)
    shards = ResidualShards.of_project(params.residuals)
    missing = shards.missing()
    get_run_logger().info(f"{len(missing)} of {len(shards)} shards to compute, with {threads} threads each")
    with shard_runner(address, threads, device) as runner:
        weights = runner.share({label: autoencoder_weights(label).read_bytes() for label in AUTOENCODERS})
        same = {"weights": weights, "params": params.residuals, "device": device, "threads": threads}
        runner.run(residual_shard, missing, lambda shard: {"images": shards.images_of(shard), **same}, shards.keep)


@task(task_run_name="shard {shard}", cache_policy=NO_CACHE, persist_result=False)
def residual_shard(
    shard: int,  # noqa: ARG001  # names the task run
    images: NDArray[np.uint8],
    weights: dict[ClassName, bytes],
    params: ResidualParams,
    device: str,
    threads: int,
) -> ResidualShard:
    """Compute one shard from its images (n, H, W) and both autoencoders, with as many threads as the stage has."""
    torch.set_num_threads(threads)
    count_denormals_as_zero()
    place = torch.device(device)
    return compute_shard(tfen_from(weights, place), images, params, place)
