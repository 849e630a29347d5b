"""Number formats of a network's pass, and which of them the hardware computes with."""

import os
from typing import Final

import torch

from coronet_core.common.literals import Precision, PrecisionChoice

ISAS_WITHOUT_BF16: Final = (
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",  # converts bfloat16 and multiplies none
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
)
"""Values of ONEDNN_MAX_CPU_ISA that keep oneDNN from the processor's bfloat16 instructions."""
CAPABILITIES_WITHOUT_BF16: Final = ("DEFAULT", "AVX2")
"""What torch says of itself where ATEN_CPU_CAPABILITY, or the processor, keeps it from AVX-512."""


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which a network computes: bfloat16 where torch deems it safe, or float32 throughout."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def choose_precision(choice: PrecisionChoice, device: torch.device) -> Precision:
    """Return the number format of `choice` on `device`; `auto` is bfloat16 where `has_bfloat16`, else float32."""
    if choice != "auto":
        return choice
    return "bf16" if has_bfloat16(device) else "fp32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether the hardware of `device` multiplies bfloat16 itself.

    GPUs with native support, and processors with AVX512_BF16 or AMX that torch and oneDNN may use: ATEN_CPU_CAPABILITY
    and ONEDNN_MAX_CPU_ISA can make a newer processor behave like an older one. Where bfloat16 is emulated, a training
    step takes several times as long as in float32 (docs/decisions/0023-precision-auto.md).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    is_there = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()  # noqa: SLF001  # no public name
    is_used_by_torch = torch.backends.cpu.get_cpu_capability() not in CAPABILITIES_WITHOUT_BF16
    is_used_by_onednn = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() not in ISAS_WITHOUT_BF16
    return is_there and is_used_by_torch and is_used_by_onednn
