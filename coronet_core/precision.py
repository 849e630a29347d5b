"""Number formats of a network's pass."""

import torch

from coronet_core.options import Precision


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which a network computes: bfloat16 where torch deems it safe, or float32 throughout."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
