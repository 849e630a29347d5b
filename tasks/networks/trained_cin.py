"""The trained networks behind the autoencoders, as stages take them: from their files, frozen, on a device."""

import torch

from coronet_core.autoencoder.residual_tensor import freeze
from coronet_core.classifier.cin import build_cin
from coronet_core.classifier.coronet import CoroNet
from coronet_core.common.literals import CinInput
from coronet_core.common.weights import load_weights, load_weights_from
from tasks.networks.trained_tfen import load_tfen
from tasks.runtime.paths import CIN_WEIGHTS


def load_cin(kind: CinInput, device: torch.device) -> torch.nn.Module:
    """Load the CIN that was trained on inputs of this `kind`, the parameter cin.input."""
    cin = build_cin(kind)
    load_weights(cin, CIN_WEIGHTS)
    freeze(cin, device)
    return cin


def cin_from(file: bytes, kind: CinInput, device: torch.device) -> torch.nn.Module:
    """Load the CIN from the content of its file."""
    cin = build_cin(kind)
    load_weights_from(cin, file, CIN_WEIGHTS.name)
    freeze(cin, device)
    return cin


def load_coronet(kind: CinInput, device: torch.device) -> CoroNet:
    """Load the whole network, image in and probabilities out."""
    return CoroNet(load_tfen(device), load_cin(kind, device), kind)
