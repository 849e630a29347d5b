"""All operations, ours against plain PyTorch: `python -m benchmarks.run [--only NAME] [--device cuda]`.

Each operation runs in turns in two processes, the plain way (eager, float32, channels first, image by image where a
script of 2020 loops; `benchmarks/speed/plain.py`) and ours. One table: seconds of an action, times as fast by clock and
by CPU time (medians over rounds, smallest to largest), the shares that we reach of this machine's operations and of
its bytes a second (`speed/floor.py`), largest memory of both, how far the results are apart. The same as JSON in
`benchmarks/run-<kind>.json`, one for each kind of processor. CPU time is what to believe where other jobs run.

A newer processor behaves as one with AVX2 alone under `ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2`.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.speed.floor import floor_seconds, machine
from benchmarks.speed.operations import CUDA_ONLY, OPERATIONS, TARGETS
from benchmarks.speed.pairing import in_turns
from benchmarks.speed.processor import kind_of, name_of
from benchmarks.speed.setting import Setting, prepare
from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.precision import has_bfloat16
from tasks.runtime.files import write_json

HEADING = (
    f"{'operation':42} {'plain s':>8} {'ours s':>8}  {'by clock':19}  {'by CPU':19} {'flops':>6} {'bytes':>6}  "
    f"{'MiB':11}  apart"
)
RESULTS = Path(__file__).parent
FP32 = (
    "AE inference, both, fp32",
    "residuals, files to shard, fp32",
    "evaluation",
    "explanation, an iteration",
    "prediction, 1 file",
    "prediction, many files",
)
"""What we compute in float32 everywhere. Training is in bfloat16 where the hardware computes with it; the rest says."""
MIXED = "end to end"
"""What we compute in both: there is no one rate of operations for it."""


def main() -> None:
    """Measure, print, write."""
    options = _options()
    there = [name for name in OPERATIONS if options.device == "cuda" or name not in CUDA_ONLY]
    chosen = [name for name in there if not options.only or any(part in name for part in options.only)]
    if not chosen:
        raise SystemExit(f"--only {options.only}: no such operation. There are: {', '.join(there)}.")
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            folder=folder, side_px=options.side, batch=options.batch, device=options.device, threads=options.threads
        )
        prepare(replace(setting, device="cpu"))
        rates = machine(setting.torch_device, setting.threads)
        kind, processor = kind_of(setting.torch_device), name_of(setting.torch_device)
        is_native = has_bfloat16(setting.torch_device)
        print(f"{kind}: {processor}, {setting.threads} threads")
        print(", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()), flush=True)
        print(HEADING)
        rows = []
        for name in chosen:
            row = in_turns(name, setting, options.rounds)
            row["floor"] = floor_seconds(
                row["counted"], rates, is_bf16="bf16" in name or (name not in FP32 and is_native)
            )
            row["target"] = TARGETS.get(kind, {}).get(name)
            rows.append(row)
            print(_line(row), flush=True)
    described = {key: value for key, value in setting.to_dict().items() if key != "folder"}
    described |= {"kind": kind, "name": processor, "load": os.getloadavg(), "rounds": options.rounds}
    write_json(RESULTS / f"run-{kind}.json", {**described, "rates": rates, "rows": rows})


def _line(row: dict[str, Any]) -> str:
    clock, cpu = (
        f"{ratio['median']:5.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})" for ratio in row["times_as_fast"].values()
    )
    flops, moved = (f"{row['floor'][kind] / row['seconds']['ours']:6.0%}" for kind in ("by_flop", "by_bytes"))
    target = "" if row["target"] is None else f" (wanted {row['target']:g})"
    return (
        f"{row['operation']:42} {row['seconds']['plain']:8.2f} {row['seconds']['ours']:8.2f}  {clock:19}  {cpu:19} "
        f"{'mixed' if row['operation'] == MIXED else flops:>6} {moved}  "
        f"{row['peak_mib']['plain']:5.0f} {row['peak_mib']['ours']:5.0f}  "
        f"{row['mean_difference']:.1e} of {row['mean_size']:.2g}{target}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="Ours against plain PyTorch.")
    parser.add_argument("--only", action="append", help="part of an operation's name; again for more")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--side", type=int, default=224, help="of the images, in pixels")
    parser.add_argument(
        "--batch", type=int, default=8, help="images of the autoencoders' batches; the CIN has twice as many"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads of each way")
    return parser.parse_args()


if __name__ == "__main__":
    main()
