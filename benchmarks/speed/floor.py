"""The least that an operation can take: its multiplications and the bytes of its convolutions, at this machine's rates.

Bytes are what each convolution must read and write once, with all that lies between two of them for nothing. Both rates
are measured in the same run: of operations by products of large matrices, which a convolution that multiplies less or
fits better may beat, and of bytes by a copy, which caches may beat on small batches. A share may thus exceed 100%.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from coronet_core.common.precision import has_bfloat16

SIDE = {"cpu": 2048, "cuda": 8192}
"""Of the matrices; on a GPU what is small measures how long it takes to start."""
COPIED_BYTES = {"cpu": 2**28, "cuda": 2**32}
REPEATS = 5
GIGA = 1e9


def count(action: Callable[[], object]) -> dict[str, float]:
    """Run `action` and return its GFLOP and the GB of its convolutions."""
    traffic = _Traffic()
    flops = FlopCounterMode(display=False)
    with flops, traffic:
        action()
    return {"gflop": flops.get_total_flops() / GIGA, "gb": traffic.n_bytes / GIGA}


def machine(device: torch.device, threads: int) -> dict[str, float]:
    """Return GFLOP/s of matrix products, and GB/s of a copy (read and written).

    In float32, and in bfloat16 where the hardware computes with it: elsewhere a product takes minutes.
    """
    torch.set_num_threads(threads)
    side, n_bytes = SIDE[device.type], COPIED_BYTES[device.type]
    formats = {"gflops_fp32": torch.float32} | ({"gflops_bf16": torch.bfloat16} if has_bfloat16(device) else {})
    rates = {}
    for name, kind in formats.items():
        x = torch.randn(side, side, device=device).to(kind)
        rates[name] = 2 * side**3 / _best_seconds(lambda x=x: x @ x, device) / GIGA
    source = torch.zeros(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    rates["copy_gb_per_s"] = 2 * n_bytes / _best_seconds(lambda: target.copy_(source), device) / GIGA
    return rates


def floor_seconds(counted: dict[str, float], rates: dict[str, float], *, is_bf16: bool) -> dict[str, float]:
    """Return the seconds that the multiplications and the bytes take by themselves."""
    rate = rates.get("gflops_bf16", rates["gflops_fp32"]) if is_bf16 else rates["gflops_fp32"]
    return {
        "by_flop": counted["gflop"] / rate,
        "by_bytes": counted["gb"] / rates["copy_gb_per_s"],
    }


class _Traffic(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if "conv" in func.__name__ and func.namespace == "aten":
            told = out if isinstance(out, tuple) else (out,)
            self.n_bytes += sum(value.nbytes for value in (*args, *told) if isinstance(value, Tensor))
        return out


def _best_seconds(action: Callable[[], object], device: torch.device) -> float:
    def once() -> float:
        begin = time.perf_counter()
        action()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    action()
    return min(once() for _ in range(REPEATS))
