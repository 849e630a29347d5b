"""Predictions for many files, shard by shard."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self

import pyarrow as pa
import torch

from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from tasks.inference.input.image_file import ImageFile, shards_of
from tasks.inference.input.storage import find_files, read_files
from tasks.inference.model_source import load_model
from tasks.inference.output.resumable_dataset import PredictionDataset
from tasks.inference.prediction_log import PredictionLog
from tasks.inference.predictor import Networks, decode_files, predict_decoded
from tasks.package.trained_model import TrainedModel
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.compute.devices import device_type
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.progress import Progress

SHARD_FILES: Final = 64


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Files in shards, the model, and the dataset that receives the predictions."""

    shards: list[list[ImageFile]]
    passed_over: Counter[str]
    """Number of skipped files by reason."""
    model: TrainedModel
    dataset: PredictionDataset

    @classmethod
    def of(cls, paths: Sequence[str], out: Path, model: str | None, shard_files: int) -> Self:
        """Find the files given by `paths`, load the model and open the folder `out`. Raises CoroNetError."""
        files, passed_over = find_files(paths)
        loaded, shards = load_model(model), shards_of(files, shard_files)
        dataset = PredictionDataset(out, shards, loaded.digest, passed_over)
        return cls(shards=shards, passed_over=passed_over, model=loaded, dataset=dataset)

    @property
    def n_files(self) -> int:
        """Number of files in all shards."""
        return sum(map(len, self.shards))


def predict_here(batch: Batch, log: PredictionLog | None) -> None:
    """Predict the missing shards in this process, one after another."""
    missing = batch.dataset.missing()
    if not missing:
        return
    use_cpu_threads(share=1)
    networks, keep = Networks.of(batch.model, torch.device(inference_device())), keep_and_log(batch, log)
    n_missing = sum(len(batch.shards[shard]) for shard in missing)
    with Decoders() as decoders, Progress("predict", n_missing, "files") as bar:
        for shard in missing:
            contents = read_files(batch.shards[shard])
            keep(shard, predict_decoded(decode_files(contents, batch.model, decoders.decode), networks))
            bar.advance(len(contents))


def keep_and_log(batch: Batch, log: PredictionLog | None) -> Callable[[int, pa.Table], None]:
    """Return a function that logs a shard's rows, if there is a log, and then stores them.

    If a run is killed in between, the rows are logged again, and readers of the log count an image once; in the other
    order they would be missing from the log.
    """

    def keep(shard: int, rows: pa.Table) -> None:
        if log is not None:
            log.append(rows, batch.dataset.model_digest)
        batch.dataset.keep(shard, rows)

    return keep


def inference_device() -> Literal["cpu", "cuda"]:
    """Return the device of the networks: from params.yaml or, without one, a GPU if there is one."""
    if PARAMS_FILE.is_file():
        return device_type(read_params())
    return "cuda" if torch.cuda.is_available() else "cpu"
