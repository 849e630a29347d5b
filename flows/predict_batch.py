"""The flow `predict-batch`: a model on any image files, shard by shard, a row a file, here or on a Ray cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from coronet_core.support.errors import CoroNetError, DataError
from coronet_core.support.plurals import by_reason, counted
from flows.monitoring.final_states import failed
from flows.monitoring.run_names import called
from flows.monitoring.stage_progress import StageProgress
from flows.monitoring.stale_runs import alone_as_run
from flows.monitoring.webhook import AT_ITS_END
from flows.ray.shard_runner import shard_runner
from tasks.inference.batch import SHARD_FILES, Batch, inference_device, keep_and_log
from tasks.inference.input.image_file import FileContent
from tasks.inference.input.storage import read_files
from tasks.inference.prediction_log import PredictionLog
from tasks.inference.predictor import predict_files
from tasks.package.trained_model import TrainedModel
from tasks.runtime.compute.cpu import count_denormals_as_zero, use_cpu_threads
from tasks.runtime.progress import Progress, ProgressEvent


@flow(name="predict-batch", flow_run_name=called("predictions into {out}"), **AT_ITS_END)
def predict_batch(
    paths: list[str],
    out: str,
    model: str | None = None,
    shard_files: int = SHARD_FILES,
    ray: str | None = None,
    log: str | None = None,
) -> State[None]:
    """Predict the files that `paths` name: files, folders, patterns, s3:// URLs.

    `out` becomes a folder of Parquet files, one for each `shard_files` files: readers take it as one table, one row
    per file. A killed run resumes after its last shard.

    Args:
        paths: X-rays: files, folders, patterns such as scans/**/*.dcm, s3:// URLs.
        out: The folder to write Parquet files to.
        model: A package folder or a registered version; by default the project's last run.
        shard_files: Files per shard; a killed run loses one shard at most.
        ray: The address of a Ray cluster (`local`, `auto`, `ray://...`): files are read here and their bytes sent
            there, so the workers need none of the paths.
        log: A folder to log scores to for `coronet drift`; by default none.
    """
    try:
        if shard_files < 1:
            raise DataError(f"shard_files = {shard_files}: allowed: 1 or more")
        with alone_as_run(Path(out).with_name(f".{Path(out).name}.lock"), f"the prediction into {out}"):
            batch = Batch.of(paths, Path(out), model, shard_files)
            _predict(batch, ray, None if log is None else PredictionLog(Path(log)))
            summary = batch.dataset.finish()
    except CoroNetError as error:
        return failed(error)
    n_errors = sum(summary["errors"].values())
    return Completed(message=f"{counted(summary['files'], 'file')}, {n_errors} failed")


def _predict(batch: Batch, ray: str | None, log: PredictionLog | None) -> None:
    missing = batch.dataset.missing()
    say = get_run_logger().info
    say(f"{counted(batch.n_files, 'file')} in {counted(len(batch.shards), 'shard')}, {len(missing)} to do")
    if batch.passed_over:
        say(f"skipped: {by_reason(batch.passed_over)}")
    if not missing:
        return
    use_cpu_threads(share=1)
    threads, device = torch.get_num_threads(), inference_device()
    with shard_runner(ray, threads, device) as runner, Progress("predict", batch.n_files, "files") as bar:
        bar.advance(batch.n_files - sum(len(batch.shards[shard]) for shard in missing))
        same = {"model": runner.share(batch.model), "device": device, "threads": threads}
        keep = _shown(keep_and_log(batch, log), bar, batch.n_files)
        runner.run(predict_shard, missing, lambda shard: {"files": read_files(batch.shards[shard]), **same}, keep)


def _shown(keep: Callable[[int, pa.Table], None], bar: Progress, n_files: int) -> Callable[[int, pa.Table], Any]:
    """Return `keep` that moves the bar on, here and on Prefect's page."""
    page = StageProgress("predict")

    def keep_and_show(shard: int, rows: pa.Table) -> None:
        keep(shard, rows)
        bar.advance(len(rows))
        page.show(ProgressEvent(done=bar.done, total=n_files, unit="files", note=""))

    return keep_and_show


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
    count_denormals_as_zero()
    with Decoders() as decoders:
        return predict_files(files, model, torch.device(device), decoders.decode)
