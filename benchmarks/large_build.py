"""A build of 17,000 images, killed half-way and started again: `python -m benchmarks.large_build`.

Runs in a copy of the project's tracked files. Says how many images were read when it was killed, how many of these were
read again, how long each part took and the most memory that it had.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from ruamel.yaml import YAML

from benchmarks.project import copy_project
from coronet_core.common.classes import ClassName
from coronet_core.data.sources import phantom

IMAGES: dict[ClassName, int] = {"healthy": 8000, "pneumonia": 8000, "covid19": 1000}
SIDE_PX = 512
DRAWN = 24
CHUNK = 500
BLOCK_IMAGES = 1000
KILL_AFTER_BLOCKS = 8
POLL_S = 0.05


def write_chunk(folder: Path, label: ClassName, start: int, stop: int) -> None:
    """Write PNGs that are mixtures of two phantoms, one of them shifted: cheap, and hardly ever alike."""
    drawn = [phantom.draw(start, label, f"p{i}", 0, SIDE_PX)[0].astype(np.int16) for i in range(DRAWN)]
    rng = np.random.default_rng(start)
    for number in range(start, stop):
        first, second = rng.choice(DRAWN, 2, replace=False)
        mixed = (drawn[first] + np.roll(drawn[second], rng.integers(-90, 90, 2), (0, 1))) // 2
        Image.fromarray(mixed.astype(np.uint8)).save(folder / label / f"{number:05d}.png", compress_level=1)


def make_project(folder: Path) -> None:
    """Copy the project, write its images, and set its params."""
    copy_project(folder)
    raw = folder / "data/raw/xray"
    with ProcessPoolExecutor() as pool:
        written = []
        for label, n_images in IMAGES.items():
            (raw / label).mkdir(parents=True)
            starts = range(0, n_images, CHUNK)
            written += [pool.submit(write_chunk, raw, label, start, min(start + CHUNK, n_images)) for start in starts]
        for chunk in written:
            chunk.result()
    yaml = YAML()
    params = yaml.load((folder / "params.yaml").read_text(encoding="utf-8"))
    source = {"kind": "image_folder", "folder": "xray", "labels_csv": None, "patient_id_pattern": None}
    params["data"] |= {"root": "data/raw", "sources": [source], "image_size_px": 224, "shard_images": BLOCK_IMAGES}
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)


def start(folder: Path) -> "subprocess.Popen[str]":
    """Start the stage in the project."""
    environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db", "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "tasks", "build_split"]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def peak_memory_mb(process: "subprocess.Popen[str]") -> float:
    """Wait for `process`; returns the most anonymous memory, in MiB, that it was seen to have."""
    most = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        if found := re.search(r"RssAnon:\s+(\d+)", status):
            most = max(most, int(found[1]))
        time.sleep(POLL_S)
    return most / 1024


def main() -> None:
    """Build, kill, build again, and say what was seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_project(folder)
        blocks = folder / ".coronet/resume/build_split/blocks"
        begin = time.perf_counter()
        with start(folder) as first:
            while len(list(blocks.glob("*.parquet"))) < KILL_AFTER_BLOCKS and first.poll() is None:
                time.sleep(POLL_S)
            first.kill()
        killed = time.perf_counter()
        kept = len(list(blocks.glob("*.parquet")))
        with start(folder) as second:
            memory_mb = peak_memory_mb(second)
            said = second.stdout.read() if second.stdout else ""
        print(f"{sum(IMAGES.values())} images; killed after {killed - begin:.0f} s with {kept * BLOCK_IMAGES} read")
        print(f"second run: exit code {second.returncode}, {time.perf_counter() - killed:.0f} s, {memory_mb:.0f} MiB")
        print(said)


if __name__ == "__main__":
    main()
