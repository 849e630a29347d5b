"""The weights of a package: whether they are a network's, before anything is loaded into one."""

from collections.abc import Callable

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.cin import build_cin
from coronet_core.common.literals import CinInput
from coronet_core.support.errors import WeightsError
from tasks.package.metadata import AUTOENCODERS, REMEDY


def check_weights(name: str, content: bytes, cin_input: CinInput) -> None:
    """Raise WeightsError unless `content` is a safetensors file of finite weights for the network of file `name`.

    Keys, shapes and types must be the network's. Nothing pickled is read, whatever the file is called.
    """
    build: Callable[[], nn.Module] = FPAE if name in AUTOENCODERS.values() else lambda: build_cin(cin_input)
    try:
        given = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{name}: not a safetensors file ({error}); nothing else is read. {REMEDY}") from error
    with torch.random.fork_rng(devices=[]):  # in memory: initialising on the meta device loads torch's compiler, 1.6 s
        expected = build().state_dict()
    if wrong := sorted(expected.keys() ^ given.keys()):
        raise WeightsError(f"{name}: {len(wrong)} keys are missing or unknown (first: {wrong[0]}). {REMEDY}")
    for key, tensor in given.items():
        if _kind(tensor) != _kind(expected[key]):
            raise WeightsError(f"{name}: {key} is {_kind(tensor)}, not {_kind(expected[key])}. {REMEDY}")
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{name}: {key} has values that are not finite. {REMEDY}")


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
