"""The paper's whole protocol by the clock: `python -m benchmarks.protocol [--device cuda] [--share 0.01 --side 64]`.

Random pixels in the numbers of Table 1 as `build_split` stores them, then the stages from there to the figures of the
test images, each by `dvc repro --single-item` as the flow runs it, in a copy of the project with the settings of
`params/paper.yaml` (not the pretrained weights: they take no time). The autoencoders train at once or, with
`--one-by-one`, one after the other. A line for each stage, then the whole; `benchmarks/protocol.json`. Two CPU cores
need days: `--share` takes a part of the images, `--epochs` fewer epochs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from ruamel.yaml import YAML

from benchmarks.project import copy_project, environment_of
from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import as_table, write_manifest
from coronet_core.common.shards import write_shard
from tasks.runtime.files import write_json
from tasks.runtime.params.presets import whole_file
from tasks.runtime.paths import IMAGES, MANIFEST
from tasks.runtime.tracking.stage_run import DELIVERED_VARIABLE

RESULTS: Final = Path(__file__).with_name("protocol.json")
TABLE_1: Final = {"train": (7966, 8521, 89), "test": (885, 1058, 10)}
"""Images by class of the paper's training part, validation included, and of its test part."""
AUTOENCODERS: Final = ("train_autoencoder@healthy", "train_autoencoder@pneumonia")
VALIDATION_FRACTION: Final = 0.1
SHARD_IMAGES: Final = 2048
FEWEST: Final = 4
"""Images of a class in a split: the stages need some of each."""


def write_split(folder: Path, share: float, side_px: int) -> dict[str, int]:
    """Write a manifest and shards of random pixels; returns the number of images in each split."""
    splits: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for part, counts in TABLE_1.items():
        for label, count in zip(CLASSES, counts, strict=True):
            n = max(2 * FEWEST, round(share * count))
            n_validation = max(FEWEST, round(VALIDATION_FRACTION * n)) if part == "train" else 0
            splits["validation"] += [label] * n_validation
            splits[part] += [label] * (n - n_validation)
    described = [(split, label) for split, labels in splits.items() for label in labels]
    rng = np.random.default_rng(0)
    for shard, start in enumerate(range(0, len(described), SHARD_IMAGES)):
        n = min(SHARD_IMAGES, len(described) - start)
        write_shard(folder / IMAGES, shard, rng.integers(0, 256, (n, side_px, side_px), dtype=np.uint8))
    rows = [
        {
            "image_id": f"random-{i}",
            "patient_id": f"random-{i}",
            "patient_group": f"random-{i}",
            "label": label,
            "split": split,
            "source": "random",
            "size_bytes": side_px**2,
            "width_px": side_px,
            "height_px": side_px,
            "shard": i // SHARD_IMAGES,
            "row": i % SHARD_IMAGES,
        }
        for i, (split, label) in enumerate(described)
    ]
    write_manifest(as_table(rows), folder / MANIFEST)
    return {split: len(labels) for split, labels in splits.items()}


def write_params(folder: Path, side_px: int, epochs: tuple[int, int], device: str) -> None:
    """Give the copy the paper's params, for images of this side."""
    yaml = YAML()
    params = yaml.load(whole_file(folder / "params" / "paper.yaml"))
    params["device"] = device
    params["stages_per_gpu"] = 2  # whether they do share is decided by how they are started
    params["data"]["image_size_px"] = side_px
    params["autoencoder"]["epochs"], params["cin"]["epochs"] = epochs
    params["cin"]["pretrained"] = "none"
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def seconds_of(folder: Path, stages: list[str]) -> float:
    """Run stages at once; returns the seconds until the last has ended."""
    began = time.monotonic()
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", "--quiet"]
    environment = environment_of(folder) | {DELIVERED_VARIABLE: "true"}
    started = [subprocess.Popen([*command, stage], cwd=folder, env=environment) for stage in stages]
    if failed := [stage for stage, process in zip(stages, started, strict=True) if process.wait()]:
        sys.exit(f"{failed[0]} has failed")
    return time.monotonic() - began


def main() -> None:
    """Write the data, run the stages, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.protocol", description="The protocol by the clock.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--share", type=float, default=1.0, help="of Table 1's images")
    parser.add_argument("--side", type=int, default=224, help="of the images, in pixels; a multiple of 8")
    parser.add_argument("--epochs", type=int, nargs=2, default=(50, 10), metavar=("AE", "CIN"))
    parser.add_argument("--one-by-one", action="store_true", help="the autoencoders one after the other")
    options = parser.parse_args()
    turns = [[one] for one in AUTOENCODERS] if options.one_by_one else [list(AUTOENCODERS)]
    turns += [[one] for one in ("materialize_residuals", "train_cin", "calibrate", "evaluate")]
    with tempfile.TemporaryDirectory(prefix="protocol-") as place:
        folder = Path(place)
        copy_project(folder)
        write_params(folder, options.side, tuple(options.epochs), options.device)
        images = write_split(folder, options.share, options.side)
        told: dict[str, Any] = {**vars(options), "images": images, "seconds": {}}
        for turn in turns:
            name = " beside ".join(turn)
            told["seconds"][name] = seconds_of(folder, turn)
            print(f"{name:64} {told['seconds'][name]:8.1f} s", flush=True)
    told["seconds"]["all"] = sum(told["seconds"].values())
    print(f"{'all of it':64} {told['seconds']['all']:8.1f} s for {sum(images.values())} images")
    write_json(RESULTS, told)


if __name__ == "__main__":
    main()
