"""What checking a file costs beside reading it: `python -m benchmarks.checksums [--rounds 5]`.

A shard of 2,048 residual tensors, a CIN's weights and one batch of rows, each in the system's cache: from a slower disk
the ratios are smaller. Clock times (medians of rounds in turns), and how many times those of a plain read. Other
digests are measured beside ours; XXH3 where the package `xxhash` is installed.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from coronet_core.classifier.architectures import build_cin
from coronet_core.common.shards import Shards, write_shard
from coronet_core.common.weights import save_weights
from coronet_core.support.callbacks import noop
from coronet_core.support.checksums import require_intact

ROWS: Final = 2048
ROW_SHAPE: Final = (3, 224, 224)
BATCH: Final = np.arange(0, ROWS, ROWS // 16)
PIECE_BYTES: Final = 1 << 20


def digested(path: Path, update: Callable[[memoryview], object]) -> None:
    """Read a file in pieces, each handed to `update`."""
    buffer = bytearray(PIECE_BYTES)
    with path.open("rb", buffering=0) as file, memoryview(buffer) as view:
        while n_read := file.readinto(buffer):
            update(view[:n_read])


def ways_of(path: Path) -> dict[str, Callable[[], object]]:
    """Return the ways to read a file, the plain one first."""
    ways: dict[str, Callable[[], object]] = {
        "plain read": lambda: digested(path, noop),
        "our check (CRC-32)": lambda: require_intact(path),
        "SHA-256": lambda: digested(path, hashlib.sha256().update),
    }
    if find_spec("xxhash"):
        import xxhash

        ways["XXH3"] = lambda: digested(path, xxhash.xxh3_64().update)
    return ways


def medians(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each way, all in turns; the first round does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(found[1:]) for name, found in seconds.items()}


def report(title: str, size: int, found: dict[str, float]) -> None:
    """Print a line for each way."""
    plain = next(iter(found.values()))
    print(f"{title}, {size / 1e6:.0f} MB")
    for name, seconds in found.items():
        print(f"  {name:20} {1000 * seconds:8.1f} ms  {size / seconds / 1e9:5.2f} GB/s  {seconds / plain:5.2f} x")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder, weights = Path(name), Path(name, "cin.safetensors")
        rows = np.random.default_rng(0).random((ROWS, *ROW_SHAPE), dtype=np.float32).astype(np.float16)
        shard = write_shard(folder, 0, rows, durable=False)
        save_weights(build_cin(), weights)
        for title, path in (("a shard", shard), ("a CIN's weights", weights)):
            report(title, path.stat().st_size, medians(ways_of(path), rounds))
        stack = Shards.in_folder(folder)
        ways = {
            "from an open stack": lambda: stack.take(BATCH),
            "its first, with check": lambda: Shards.in_folder(folder).take(BATCH),
        }
        report("16 rows of the shard", rows[BATCH].nbytes, medians(ways, rounds))


if __name__ == "__main__":
    main()
