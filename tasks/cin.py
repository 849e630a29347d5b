"""The trained CIN, as the stages behind training take it: from its file, frozen, on a device."""

import torch

from coronet_core.models.cin import build_cin
from coronet_core.residuals import freeze
from coronet_core.weights import load_weights
from tasks.paths import CIN_WEIGHTS


def load_cin(device: torch.device) -> torch.nn.Module:
    """Load the CIN."""
    cin = build_cin()
    load_weights(cin, CIN_WEIGHTS)
    freeze(cin, device)
    return cin
