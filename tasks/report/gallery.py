"""The gallery of the report: errors and uncertain test images with their residuals and attribution maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from coronet_core.autoencoder.residual_tensor import stored_residuals
from coronet_core.common.classes import DISPLAY_NAMES
from coronet_core.common.shards import Shards, read_array
from coronet_core.support.tables import read_frame
from tasks.networks.trained_tfen import load_autoencoders
from tasks.report.cases import Case, least_certain, most_confident_errors
from tasks.report.plots.residual_tensors import BRIGHTEST_QUANTILE, RESIDUAL_NAMES
from tasks.report.plots.thumbnails import Thumbnail, overlaid_map, residual, xray
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.paths import EXPLANATION_INDEX, IMAGES, explanation_maps

MAX_SHOWN: Final = 12
"""Images of each kind."""
MAP_METHOD: Final = "perturbation"
"""The paper's; its maps are in every run."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A case and its pictures."""

    case: Case
    xray: Thumbnail
    residuals: Mapping[str, Thumbnail]
    """By the name of the channel."""
    map: Thumbnail | None
    """None if the image was not explained."""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The images that deserve a look."""

    errors: Sequence[Pictures]
    """The most confident ones."""
    uncertain: Sequence[Pictures]
    """The least certain of the others, right or wrong."""
    all_errors: int
    brightest: float
    """The residual that has the brightest colour, the same in all pictures."""


def gallery(cases: Sequence[Case], params: ResidualParams) -> Gallery:
    """Choose images among all test images `cases` and draw each with its residuals and, if it has one, its map."""
    errors = most_confident_errors(cases)
    shown = errors[:MAX_SHOWN]
    uncertain = least_certain([case for case in cases if case not in shown])[:MAX_SHOWN]
    chosen = shown + uncertain
    images: NDArray[np.uint8] = Shards.in_folder(IMAGES).take(
        np.array([case.stack_row for case in chosen], dtype=np.int64)
    )
    cpu = torch.device("cpu")
    residuals = stored_residuals(load_autoencoders(cpu), images, params.batch_size, params.precision, cpu)
    brightest = float(np.quantile(residuals.astype(np.float32), BRIGHTEST_QUANTILE))
    maps = _maps()
    drawn = [
        _pictures(case, image, channels, maps.get(case.stack_row), brightest)
        for case, image, channels in zip(chosen, images, residuals, strict=True)
    ]
    n = len(shown)
    return Gallery(errors=drawn[:n], uncertain=drawn[n:], all_errors=len(errors), brightest=brightest)


def _maps() -> dict[int, NDArray[np.float32]]:
    """Return the maps (H, W) of the explained images by their position in the stack of images."""
    rows = read_frame(EXPLANATION_INDEX)["stack_row"].tolist()
    return dict(zip(rows, read_array(explanation_maps(MAP_METHOD)), strict=True))


def _pictures(
    case: Case,
    image: NDArray[np.uint8],
    channels: NDArray[np.float16],
    salience: NDArray[np.float32] | None,
    brightest: float,
) -> Pictures:
    of = f"of {case.image_id}"
    return Pictures(
        case=case,
        xray=xray(image, f"X-ray {of}"),
        residuals={
            name: residual(channel, brightest, f"Residual {name} {of}, mean {channel.mean(dtype=np.float32):.3f}")
            for name, channel in zip(RESIDUAL_NAMES, channels, strict=True)
        },
        map=None
        if salience is None
        else overlaid_map(image, salience, f"Map {of}: what speaks for {DISPLAY_NAMES[case.predicted]}"),
    )
