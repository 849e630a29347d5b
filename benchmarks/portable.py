"""Exported files on a small device: `python -m benchmarks.portable`.

Latency of one image on one CPU thread, in turns in one run, as ratios to eager PyTorch in fp32; and the largest memory
of a process that holds one file's runtime and nothing else. One table, and `benchmarks/portable.json`.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.untrained import untrained_model
from tasks.export.export_options import Pixels
from tasks.export.exported_network import WholeNetwork, open_program, program_of, session_of, write_program
from tasks.export.onnx_file import open_onnx, quantise, write_onnx
from tasks.export.sample_images import Session, drawn_images
from tasks.runtime.files import write_json
from tasks.runtime.params.schema import ResidualParams

RESULTS = Path(__file__).with_name("portable.json")
MIB = 2**20
PIXELS = Pixels.FLOAT32
EAGER = "eager PyTorch, fp32"

MEMORY_OF_ONNX = """
import sys, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
side = int(sys.argv[2])
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
session.run(None, {"image": np.zeros((1, 1, side, side), np.float32)})
"""
MEMORY_OF_TORCH = """
import sys, torch
torch.set_num_threads(1)
side = int(sys.argv[2])
network = torch.export.load(sys.argv[1]).module()
with torch.inference_mode():
    network(torch.zeros(1, 1, side, side))
"""
MEMORY_OF_EAGER = """
import sys, torch
from benchmarks.portable import network_of
torch.set_num_threads(1)
side = int(sys.argv[2])
with torch.inference_mode():
    network_of(side, torch.float32)(torch.zeros(1, 1, side, side))
"""
TELL_PEAK = """
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""


def network_of(side_px: int, number_type: torch.dtype) -> WholeNetwork:
    """Return the whole network, untrained."""
    return WholeNetwork(_model(side_px), number_type)


def write_files(folder: Path, side_px: int) -> dict[str, Path]:
    """Export in every way; returns the files by what they are called in the table."""
    paths = {name: folder / name.replace(", ", "-") for name in ("onnx, fp32", "onnx, fp16", "onnx, int8")}
    for name, number_type in (("onnx, fp32", torch.float32), ("onnx, fp16", torch.float16)):
        write_onnx(program_of(network_of(side_px, number_type), side_px, PIXELS), paths[name])
    shutil.copyfile(paths["onnx, fp32"], paths["onnx, int8"])
    quantise(paths["onnx, int8"], drawn_images(_model(side_px)), PIXELS)
    paths["torch, fp32"] = folder / "fp32.pt2"
    write_program(program_of(network_of(side_px, torch.float32), side_px, PIXELS), paths["torch, fp32"], {})
    return paths


def latencies(sessions: dict[str, Session], image: NDArray[np.uint8], rounds: int) -> dict[str, list[float]]:
    """Return seconds of CPU of each session, in turns: what else runs on the machine lengthens the clock's alone."""
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    for session in sessions.values():
        session(image)  # first passes plan and allocate
    for _ in range(rounds):
        for name, session in sessions.items():
            taken[name].append(_seconds(lambda session=session: session(image)))
    return taken


def peak_mib(program: str, path: Path, side_px: int) -> float:
    """Return the largest resident memory of a fresh process that answers for one image."""
    command = [sys.executable, "-c", program + TELL_PEAK, str(path), str(side_px)]
    told = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return int(told.stdout) / 1024


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=224, help="image side in px")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = write_files(Path(folder), options.side)
        sessions: dict[str, Session] = {EAGER: session_of(network_of(options.side, torch.float32), PIXELS)}
        for name, path in files.items():
            opened = open_onnx if name.startswith("onnx") else open_program
            sessions[name] = opened(path, PIXELS)
        image = next(drawn_images(_model(options.side)).batches(1))
        taken = latencies(sessions, image, options.rounds)
        rows = [_row(name, taken, files.get(name), options.side) for name in sessions]
    write_json(RESULTS, {"side_px": options.side, "rounds": options.rounds, "rows": rows})
    print("file  MiB  ms of CPU  times as fast as eager (spread)  MiB of memory")
    for row in rows:
        print(
            f"{row['file']:22} {row['file_mib']:5.1f} {row['cpu_ms']:8.0f} {row['times_as_fast']:6.2f} "
            f"({row['times_low']:.2f} to {row['times_high']:.2f}) {row['memory_mib']:6.0f}"
        )


def _row(name: str, taken: dict[str, list[float]], path: Path | None, side_px: int) -> dict[str, Any]:
    ratios = sorted(eager / own for eager, own in zip(taken[EAGER], taken[name], strict=True))
    tenth = len(ratios) // 10
    program = MEMORY_OF_EAGER if path is None else MEMORY_OF_ONNX if name.startswith("onnx") else MEMORY_OF_TORCH
    return {
        "file": name,
        "file_mib": 0.0 if path is None else path.stat().st_size / MIB,
        "cpu_ms": 1000 * statistics.median(taken[name]),
        "times_as_fast": statistics.median(ratios),
        "times_low": ratios[tenth],
        "times_high": ratios[-1 - tenth],
        "memory_mib": peak_mib(program, path or Path(), side_px),
    }


def _model(side_px: int) -> Any:
    return untrained_model(side_px, ResidualParams(precision="fp32", batch_size=1, shard_images=64))


def _seconds(action: Callable[[], object]) -> float:
    begin = time.process_time()
    action()
    return time.process_time() - begin


if __name__ == "__main__":
    main()
