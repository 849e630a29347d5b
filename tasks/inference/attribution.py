"""Attribution maps of images, with the settings of the model's run or of a params file."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from coronet_core.common.batches import as_image
from coronet_core.common.classes import CLASSES
from coronet_core.common.seeds import derive_seed
from coronet_core.support.errors import ParamsError
from tasks.explain.methods import maps_of, passes
from tasks.explain.resumable_batches import Batch
from tasks.inference.model_source import params_of_run, section_of
from tasks.inference.predictor import Networks
from tasks.runtime.params.checks import PARAMS_FILE, read_params
from tasks.runtime.params.explain import ExplainParams, MethodName

STAGE: Final = "explain"


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """Parameters and random seed of the methods."""

    params: ExplainParams
    seed: int

    @classmethod
    def of(cls, params_file: Path | None, source: str | None, image_size_px: int) -> Self:
        """Return the settings of `params_file` or, without one, of the run that trained the model of `source`.

        If that run has not run the stage `explain`, they are those of `params.yaml`. Raises ParamsError if there are no
        settings, or if they do not suit images of `image_size_px`.
        """
        settings = cls._of_run(source) if params_file is None else None
        if settings is None:
            params = read_params(params_file or PARAMS_FILE)
            settings = cls(params=params.explain, seed=derive_seed(params.seed, STAGE))
        mask = settings.params.perturbation.mask_size_px
        if mask > image_size_px:
            raise ParamsError(
                f"explain.perturbation.mask_size_px = {mask}: allowed: at most {image_size_px}, the size of the "
                "model's images. Give a file with other settings (--params)."
            )
        return settings

    @classmethod
    def _of_run(cls, source: str | None) -> Self | None:
        found = params_of_run(source)
        params = section_of(found, STAGE, ExplainParams, "Give a params file of this version (--params).")
        if params is None or "seed" not in found:
            return None
        return cls(params=params, seed=derive_seed(found["seed"], STAGE))


def maps_for(
    networks: Networks,
    method: MethodName,
    settings: MapSettings,
    images: NDArray[np.uint8],
    explained: Sequence[str],
    on_pass: Callable[[str], object],
) -> NDArray[np.float32]:
    """Return the maps (b, H, W), at least 0, of `images` (b, H, W) for the classes `explained`.

    `on_pass` receives a text such as `pass 3 of 60` when a pass begins.
    """
    height, width = images.shape[1:]
    n_passes, done = passes(method, settings.params, height, width), itertools.count(1)
    batch = Batch(
        rows=torch.arange(len(images)),
        names=[],
        image=as_image(torch.from_numpy(images).to(networks.device)),
        target=torch.tensor([CLASSES.index(label) for label in explained], device=networks.device),
        on_pass=lambda: on_pass(f"pass {next(done)} of {n_passes}"),
    )
    found = maps_of(method, networks.coronet, batch, settings.params, settings.seed)
    return np.asarray(found.squeeze(1).cpu().numpy(), dtype=np.float32)
