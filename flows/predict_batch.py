"""The flow `predict-batch`: the run's networks on any image files, a row for each, here or on a Ray cluster."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from coronet_core.errors import CoroNetError, DataError
from flows.alone import alone
from flows.shard_runner import shard_runner
from flows.webhook import AT_ITS_END
from tasks.devices import device_type
from tasks.inference.dataset import PredictionDataset
from tasks.inference.files import FileContent, find_files, read, shards_of
from tasks.inference.model import TrainedModel
from tasks.inference.predictor import predict_files
from tasks.params.file import read_params
from tasks.stage import use_cpu_threads

SHARD_FILES = 64


@flow(name="predict-batch", **AT_ITS_END)
def predict_batch(paths: list[str], out: str, shard_files: int = SHARD_FILES, ray: str | None = None) -> State[None]:
    """Predict the files that `paths` name (files, folders, patterns) with the networks of this project's run.

    `out` becomes a folder of Parquet files, one for each `shard_files` files: readers take it as one table, a row a
    file. A run that was killed goes on behind its last shard. `ray` is the address of a Ray cluster (`local`, `auto`,
    `ray://...`): files are read here and their bytes sent there, so the workers need none of the paths.
    """
    try:
        if shard_files < 1:
            raise DataError(f"shard_files = {shard_files}: allowed: 1 or more")
        with alone(Path(out).with_name(f".{Path(out).name}.lock"), f"the prediction into {out}"):
            summary = _predict(paths, Path(out), shard_files, ray)
    except CoroNetError as error:
        return Failed(message=str(error))
    n_errors = sum(summary["errors"].values())
    return Completed(message=f"{summary['files']} files, {n_errors} of them without an answer")


def _predict(paths: list[str], out: Path, shard_files: int, ray: str | None) -> dict[str, Any]:
    files, passed_over = find_files(paths)
    model = TrainedModel.of_project(Path())
    shards = shards_of(files, shard_files)
    dataset = PredictionDataset(out, shards, model.digest)
    missing = dataset.missing()
    say = get_run_logger().info
    say(f"{len(files)} files in {len(shards)} shards, {len(missing)} to do; {passed_over} files are no images")
    if missing:
        use_cpu_threads(share=1)
        threads, device = torch.get_num_threads(), device_type(read_params())
        with shard_runner(ray, threads, device) as runner:
            same = {"model": runner.share(model), "device": device, "threads": threads}

            def keep(shard: int, rows: pa.Table) -> None:
                dataset.keep(shard, rows)
                say(f"shard {shard}: {len(rows)} files")

            runner.run(
                predict_shard, missing, lambda shard: {"files": [read(file) for file in shards[shard]], **same}, keep
            )
    return dataset.finish()


@task(task_run_name="shard {shard}", cache_policy=NO_CACHE, persist_result=False)
def predict_shard(
    shard: int,  # noqa: ARG001  # names the task run
    files: list[FileContent],
    model: TrainedModel,
    device: str,
    threads: int,
) -> pa.Table:
    """Predict one shard, with as many threads wherever it is done: they decide the last bits."""
    torch.set_num_threads(threads)
    return predict_files(files, model, torch.device(device))
