"""The gallery of the report: errors and uncertain test images with their residuals and attribution maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from coronet_core.autoencoder.residual_tensor import stored_residuals
from coronet_core.common.classes import DISPLAY_NAMES
from coronet_core.common.shards import Shards, read_array
from coronet_core.support.tables import read_frame
from tasks.networks.trained_tfen import load_autoencoders
from tasks.report.cases import Case
from tasks.report.plots.residual_tensors import BRIGHTEST_QUANTILE, RESIDUAL_NAMES
from tasks.report.plots.thumbnails import Thumbnail, overlaid_map, residual, xray
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.paths import GALLERY_INDEX, GALLERY_MAPS, IMAGES


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """A case and its pictures."""

    case: Case
    xray: Thumbnail
    residuals: Mapping[str, Thumbnail]
    """By the name of the channel."""
    map: Thumbnail


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
    """Draw the images that `explain` chose, of all test images `cases`, each with its residuals and its map."""
    index = read_frame(GALLERY_INDEX)
    of_row = {case.stack_row: case for case in cases}
    chosen = [of_row[row] for row in index["stack_row"]]
    images: NDArray[np.uint8] = Shards.in_folder(IMAGES).take(
        np.array([case.stack_row for case in chosen], dtype=np.int64)
    )
    cpu = torch.device("cpu")
    residuals = stored_residuals(load_autoencoders(cpu), images, params.batch_size, params.precision, cpu)
    brightest = float(np.quantile(residuals.astype(np.float32), BRIGHTEST_QUANTILE))
    drawn = [
        _pictures(case, image, channels, salience, brightest)
        for case, image, channels, salience in zip(chosen, images, residuals, read_array(GALLERY_MAPS), strict=True)
    ]
    n, all_errors = (index["kind"] == "error").sum(), sum(case.is_error for case in cases)
    return Gallery(errors=drawn[:n], uncertain=drawn[n:], all_errors=all_errors, brightest=brightest)


def _pictures(
    case: Case,
    image: NDArray[np.uint8],
    channels: NDArray[np.float16],
    salience: NDArray[np.float32],
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
        map=overlaid_map(image, salience, f"Attribution map {of}: evidence for {DISPLAY_NAMES[case.predicted]}"),
    )
