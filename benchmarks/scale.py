"""Time and memory by the number of images: `python -m benchmarks.scale [--images 1000 10000 100000] [--side 16]`.

Random images, small, so that what grows with their number shows: reading files, residual tensors, an epoch of an
autoencoder, answers for files; each in a fresh process. Memory is the largest anonymous memory seen: pages of mapped
shards, which the kernel takes back when it needs them, are not in it. Then formats for residual tensors of real size:
bytes, seconds to write and to read in random batches, and error. Two tables, and `benchmarks/scale.json`.
"""

import argparse
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.ingest import anonymous_memory_mb, read_as_the_stage
from benchmarks.untrained import untrained_model
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.fpae_learner import autoencoder_learner
from coronet_core.common.batches import Subset
from coronet_core.common.precision import choose_precision
from coronet_core.common.shards import Shards, write_shard
from coronet_core.learning.loop import Schedule, fit
from tasks.inference.input.image_file import FileContent
from tasks.inference.predictor import predict_files
from tasks.networks.trained_tfen import compute_shard, tfen_from
from tasks.runtime.compute.cpu import keep_freed_memory
from tasks.runtime.files import write_json
from tasks.runtime.params.schema import ResidualParams

RESULTS: Final = Path(__file__).with_name("scale.json")
CPU: Final = torch.device("cpu")
SHARD_IMAGES: Final = 2048
SHARD_FILES: Final = 64
RESIDUALS: Final = ResidualParams(precision="fp32", batch_size=64, shard_images=SHARD_IMAGES)
FORMAT_IMAGES: Final = 256
FORMAT_SIDE_PX: Final = 224
READ_ROWS: Final = 16
LOOK_S: Final = 0.05
MIB: Final = 2**20


def write_images(folder: Path, n: int, side_px: int) -> None:
    """Write `n` random images as files, and as shards."""
    rng = np.random.default_rng(0)
    (folder / "files").mkdir(parents=True)
    for shard, start in enumerate(range(0, n, SHARD_IMAGES)):
        pixels = rng.integers(0, 256, (min(SHARD_IMAGES, n - start), side_px, side_px), dtype=np.uint8)
        write_shard(folder / "images", shard, pixels)
        for number, one in enumerate(pixels, start):
            Image.fromarray(one).save(folder / "files" / f"{number:06d}.png")


def ingest(folder: Path, side_px: int) -> None:
    """Read all files as `build_split` does."""
    read_as_the_stage(sorted((folder / "files").iterdir()), side_px, folder / "work")
    shutil.rmtree(folder / "work")


def materialise(folder: Path, side_px: int) -> None:
    """Compute and write all residual shards."""
    tfen, stack = tfen_from(untrained_model(side_px, RESIDUALS).autoencoders, CPU), Shards.in_folder(folder / "images")
    for shard, start in enumerate(range(0, len(stack), SHARD_IMAGES)):
        rows = np.arange(start, min(start + SHARD_IMAGES, len(stack)), dtype=np.int64)
        write_shard(folder / "residuals", shard, compute_shard(tfen, stack.take(rows), RESIDUALS, CPU).residuals)
    shutil.rmtree(folder / "residuals")


def train(folder: Path, side_px: int) -> None:  # noqa: ARG001  # all take the side
    """Train an autoencoder for one epoch, without validation to speak of."""
    stack = Shards.in_folder(folder / "images")
    learner = autoencoder_learner(
        FPAE(),
        Subset(stack, range(len(stack)), CPU),
        Subset(stack, range(8), CPU),
        learning_rate=1e-4,
        weight_decay=0.0,
        regulariser_weight=1.0,
        batch_size=64,
        precision=choose_precision("auto", CPU),
        training_size_px=None,
    )
    schedule = Schedule(
        epochs=1, batch_size=64, epoch_fraction=1.0, best_by="validation_loss", patience_epochs=None, seed=0
    )
    fit(learner, schedule)


def predict(folder: Path, side_px: int) -> None:
    """Answer for all files, shard by shard, as `coronet predict` does."""
    model = untrained_model(side_px, replace(RESIDUALS, shard_images=SHARD_FILES))
    files = sorted((folder / "files").iterdir())
    for start in range(0, len(files), SHARD_FILES):
        predict_files([FileContent(f.name, f.read_bytes()) for f in files[start : start + SHARD_FILES]], model, CPU)


WORK: Final[dict[str, Callable[[Path, int], None]]] = {
    "ingest": ingest,
    "materialise": materialise,
    "train epoch": train,
    "predict": predict,
}


def measured(name: str, folder: Path, side_px: int) -> dict[str, float]:
    """Run one kind of work in this process; returns its seconds of CPU and on the clock, and its memory."""
    torch.set_num_threads(1)
    keep_freed_memory()
    before = anonymous_memory_mb()
    clock, cpu = time.perf_counter(), time.process_time()
    with largest_memory() as seen:
        WORK[name](folder, side_px)
    took = {"seconds": time.perf_counter() - clock, "cpu_seconds": time.process_time() - cpu}
    return {**took, "before_mib": before, "peak_mib": max(seen)}


@contextmanager
def largest_memory() -> Iterator[list[float]]:
    """Have this process's anonymous memory in MiB looked at, 20 times a second, and kept in a list."""
    seen, is_over = [anonymous_memory_mb()], Event()

    def look() -> None:
        while not is_over.wait(LOOK_S):
            seen.append(anonymous_memory_mb())

    looking = Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        is_over.set()
        looking.join()


def by_number(folder: Path, counts: list[int], side_px: int) -> list[dict[str, Any]]:
    """Measure each kind of work for each number of images."""
    rows = []
    for n in counts:
        place = folder / str(n)
        write_images(place, n, side_px)
        for name in WORK:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                told = process.submit(measured, name, place, side_px).result()
            rows.append({"work": name, "images": n, "cpu_ms_per_image": 1000 * told["cpu_seconds"] / n, **told})
            print(
                f"{name:12} {n:7} {rows[-1]['cpu_ms_per_image']:8.2f} ms an image {told['peak_mib']:6.0f} MiB",
                flush=True,
            )
        shutil.rmtree(place)
    return rows


def residuals_to_store() -> NDArray[np.float32]:
    """Return signed residuals X - F_H and X - F_P, (n, 2, H, W), of the size that the authors' weights leave."""
    rng = np.random.default_rng(0)
    return rng.laplace(0, 0.03, (FORMAT_IMAGES, 2, FORMAT_SIDE_PX, FORMAT_SIDE_PX)).astype(np.float32)


def three_channels(signed: NDArray[Any]) -> NDArray[Any]:
    """Return eq. (5)-(7) of signed residuals (n, 2, H, W): (n, 3, H, W)."""
    return np.abs(np.concatenate([signed, signed.sum(axis=1, keepdims=True)], axis=1))


def formats(folder: Path) -> list[dict[str, Any]]:
    """Write and read the same residuals in each format."""
    signed = residuals_to_store()
    exact = three_channels(signed)
    ways: dict[str, tuple[Callable[[Path], None], Callable[[Path, NDArray[np.int64]], NDArray[Any]]]] = {
        "NPY, 3 channels, fp16": (partial(_save, array=exact.astype(np.float16)), _rows_of_npy),
        "NPY, 2 signed channels, fp16": (
            partial(_save, array=signed.astype(np.float16)),
            lambda path, rows: three_channels(_rows_of_npy(path, rows).astype(np.float32)),
        ),
        "NPY, 3 channels, uint8 of 0 to 0.5": (
            partial(_save, array=(exact.clip(0, 0.5) * 510).round().astype(np.uint8)),
            lambda path, rows: _rows_of_npy(path, rows).astype(np.float32) / 510,
        ),
        "Parquet, 3 channels, fp16": (partial(_save_parquet, array=exact.astype(np.float16)), _rows_of_parquet),
    }
    told = []
    for name, (write, read) in ways.items():
        path = folder / "residuals"
        write_s = _seconds(partial(write, path))
        rows = np.random.default_rng(1).permutation(FORMAT_IMAGES).astype(np.int64)
        begin = time.process_time()
        parts = [read(path, part) for part in np.split(rows, FORMAT_IMAGES // READ_ROWS)]
        read_s = time.process_time() - begin
        error = np.abs(np.concatenate(parts).astype(np.float32) - exact[rows])
        told.append(
            {
                "format": name,
                "mib_per_1000": path.stat().st_size / MIB * 1000 / FORMAT_IMAGES,
                "write_ms": 1000 * write_s / FORMAT_IMAGES,
                "read_ms": 1000 * read_s / FORMAT_IMAGES,
                "mean_error": float(error.mean()),
                "largest_error": float(error.max()),
            }
        )
        path.unlink()
    return told


def _save(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array)


def _rows_of_npy(path: Path, rows: NDArray[np.int64]) -> NDArray[Any]:
    taken: NDArray[Any] = np.load(path, mmap_mode="r")[rows]
    return taken


def _save_parquet(path: Path, array: NDArray[Any]) -> None:
    rows = pa.array([one.tobytes() for one in array], pa.binary(array[0].nbytes))
    pq.write_table(
        pa.table({"residual": rows}), path, row_group_size=READ_ROWS, compression="zstd", use_dictionary=False
    )


def _rows_of_parquet(path: Path, rows: NDArray[np.int64]) -> NDArray[Any]:
    file = pq.ParquetFile(path)
    groups, within = np.unique(rows // READ_ROWS, return_inverse=True)
    column = file.read_row_groups(groups.tolist())["residual"]
    shape = (3, FORMAT_SIDE_PX, FORMAT_SIDE_PX)
    places = within * READ_ROWS + rows % READ_ROWS
    return np.stack([np.frombuffer(column[int(i)].as_py(), np.float16).reshape(shape) for i in places])


def _seconds(action: Callable[[], object]) -> float:
    begin = time.process_time()
    action()
    return time.process_time() - begin


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="Time and memory by images.")
    parser.add_argument("--images", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--side", type=int, default=16, help="of the images, in pixels; a multiple of 8")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compared = formats(Path(folder))
        for row in compared:
            print("  ".join(value if isinstance(value, str) else f"{key} {value:.3g}" for key, value in row.items()))
        rows = by_number(Path(folder), options.images, options.side)
    write_json(RESULTS, {"side_px": options.side, "by_number": rows, "formats": compared})


if __name__ == "__main__":
    main()
