"""The command: options, the run, its end. See `benchmarks/gpu/__init__.py`."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.gpu.plan import PLAN, Measurement
from benchmarks.gpu.reference import VARIABLE, reference_folder
from benchmarks.gpu.results import Results
from benchmarks.gpu.rows import Row
from benchmarks.gpu.sizes import PAPER, SIZES
from benchmarks.gpu.worker import Setting, Worker

SECONDS_A_MINUTE = 60


def run(measurements: Sequence[Measurement], setting: Setting, seconds: float, results: Results) -> None:
    """Measure in order within `seconds`. What a measurement leaves of its share goes to those behind it."""
    ends = time.monotonic() + seconds
    waiting = list(measurements)
    while waiting and time.monotonic() < ends:
        share = 0.0
        with Worker(setting) as worker:
            try:
                worker.wait_until_ready(ends - time.monotonic())
                while waiting and (left := ends - time.monotonic()) > 0:
                    share = left * waiting[0].weight / sum(one.weight for one in waiting)
                    for row in worker.rows(waiting[0], share, results.rows):
                        results.add(row)
                    waiting.pop(0)
            except TimeoutError:
                reason = f"stopped at the end of its share of the time, {share:.0f} s"
                results.add(_failed(waiting.pop(0), reason))
            except (EOFError, OSError):
                results.add(_failed(waiting.pop(0), f"its process ended, exit code {worker.exit_code()}"))
    for measurement in waiting:
        results.add(_failed(measurement, "no time left"))


def chosen_of(parts: Sequence[str] | None) -> list[Measurement]:
    """Return the measurements with one of `parts` in their names, and the card's, with which others are compared."""
    chosen = [one for one in PLAN if not parts or any(part in one.name for part in parts)]
    if not chosen:
        raise SystemExit(f"--only {parts}: no such measurement. There are: {', '.join(one.name for one in PLAN)}.")
    return chosen if PLAN[0] in chosen else [PLAN[0], *chosen]


def _failed(measurement: Measurement, reason: str) -> Row:
    return Row(measurement.name, f"{measurement.name}: all that follows", reason=reason)


def main() -> None:
    """Measure, print, write."""
    options = _options()
    signal.signal(signal.SIGTERM, _stop)
    is_gpu = options.device == "cuda"
    size = options.size or ("paper" if is_gpu else "hundredth")
    chosen = chosen_of(options.only)
    head = _head(options, size)
    print("\n".join(f"{name}: {value}" for name, value in head.items()) + "\n", flush=True)
    results = Results(options.out, head, counts=is_gpu and size == PAPER.name)
    began = time.monotonic()
    end = "stopped before its end"
    try:
        run(chosen, Setting(options.device, size, options.reference), options.minutes * SECONDS_A_MINUTE, results)
        end = "ended by itself"
    finally:
        took = time.monotonic() - began
        results.finish(f"{end} after {took:.0f} s of {options.minutes * SECONDS_A_MINUTE:.0f}; see {options.out}")


def _head(options: argparse.Namespace, size: str) -> dict[str, Any]:
    head = {
        "begun": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": options.device,
        "size": size,
        "minutes": options.minutes,
        "reference": str(options.reference or "none"),
        "load": os.getloadavg()[0],
    }
    if options.device == "cpu":
        head["note"] = "no GPU: a trial of the command, whose figures say nothing"
    return head


def _stop(_: int, __: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/on_gpu.sh", description="Everything that is measured on a GPU.")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which it ends by itself; default 8")
    parser.add_argument("--only", action="append", help="part of a measurement's name; again for more")
    parser.add_argument("--size", choices=sorted(SIZES), help="default: paper on a GPU, hundredth on a CPU")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where torch finds a GPU")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/gpu_results"), help="folder of the results")
    parser.add_argument(
        "--reference",
        type=Path,
        help=f"folder of golden_fpae.npz and label_*_best.pth; default {VARIABLE}, or shared/reference in or "
        "beside the project",
    )
    options = parser.parse_args()
    options.reference = reference_folder(options.reference)
    if options.device is None:
        import torch

        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    return options


if __name__ == "__main__":
    main()
