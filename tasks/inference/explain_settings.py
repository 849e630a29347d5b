"""How maps are made for images that belong to no run: as the run did that trained the model, or as a file says."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from coronet_core.common.seeds import derive_seed
from coronet_core.support.errors import ParamsError
from tasks.inference.source import params_of_run
from tasks.runtime.params.explain import ExplainParams
from tasks.runtime.params.file import PARAMS_FILE, read_params

STAGE = "explain"


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """Parameters of the methods, and the seed of their random numbers."""

    params: ExplainParams
    seed: int

    @classmethod
    def of(cls, params_file: Path | None, source: str | None, image_size_px: int) -> Self:
        """Return the settings of `params_file`; without one those of the run that trained the model of `source`.

        If that run had not come as far as the stage `explain`, they are those of `params.yaml`. Raises ParamsError if
        they are not to be had, or do not suit images of `image_size_px`.
        """
        settings = cls._of_run(source) if params_file is None else None
        if settings is None:
            params = read_params(params_file or PARAMS_FILE)
            settings = cls(params=params.explain, seed=derive_seed(params.seed, STAGE))
        mask = settings.params.perturbation.mask_size_px
        if mask > image_size_px:
            raise ParamsError(
                f"explain.perturbation.mask_size_px = {mask}: allowed: at most the {image_size_px} pixels that the "
                "model's images have. Give a file with other ones (--params)."
            )
        return settings

    @classmethod
    def _of_run(cls, source: str | None) -> Self | None:
        found = params_of_run(source)
        if STAGE not in found or "seed" not in found:
            return None
        try:
            params = TypeAdapter(ExplainParams).validate_json(json.dumps(found[STAGE]))
        except ValidationError as error:
            raise ParamsError(
                f"the run that trained the model has a section {STAGE} of another version of CoroNet. Give a file with "
                "one of this version (--params)."
            ) from error
        return cls(params=params, seed=derive_seed(found["seed"], STAGE))
