"""The trained networks behind the autoencoders, as stages take them: from their files, frozen, on a device."""

import torch

from coronet_core.autoencoder.residual_tensor import freeze
from coronet_core.classifier.cin_design import CinDesign, design_from
from coronet_core.classifier.coronet import CoroNet
from coronet_core.common.literals import CinInput
from coronet_core.common.weights import load_weights, load_weights_from, read_metadata, read_metadata_from
from tasks.networks.trained_tfen import load_tfen
from tasks.runtime.paths import CIN_WEIGHTS


def read_design(kind: CinInput) -> CinDesign:
    """Return what the trained CIN is made of, which reads inputs of this `kind`, the parameter cin.input.

    Raises WeightsError if it was trained on others.
    """
    return design_from(read_metadata(CIN_WEIGHTS), kind, str(CIN_WEIGHTS))


def load_cin(kind: CinInput, device: torch.device) -> torch.nn.Module:
    """Load the CIN that was trained on inputs of this `kind`, the parameter cin.input."""
    cin = read_design(kind).build()
    load_weights(cin, CIN_WEIGHTS)
    freeze(cin, device)
    return cin


def design_in(file: bytes, kind: CinInput) -> CinDesign:
    """Return what the CIN in the content of its file is made of."""
    return design_from(read_metadata_from(file, CIN_WEIGHTS.name), kind, CIN_WEIGHTS.name)


def cin_from(file: bytes, kind: CinInput, device: torch.device) -> torch.nn.Module:
    """Load the CIN from the content of its file."""
    cin = design_in(file, kind).build()
    load_weights_from(cin, file, CIN_WEIGHTS.name)
    freeze(cin, device)
    return cin


def load_coronet(kind: CinInput, device: torch.device) -> CoroNet:
    """Load the whole network, image in and probabilities out."""
    return CoroNet(load_tfen(device), load_cin(kind, device), read_design(kind))
