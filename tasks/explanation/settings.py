"""How maps are made for images that belong to no run: as the run did that trained the model, or as a file says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from coronet_core.errors import ParamsError
from coronet_core.seeds import derive_seed
from tasks.inference.lock import Lock
from tasks.params.explain import ExplainParams
from tasks.params.file import PARAMS_FILE, read_params

STAGE = "explain"


@dataclass(frozen=True, kw_only=True)
class MapSettings:
    """Parameters of the methods, and the seed of their random numbers."""

    params: ExplainParams
    seed: int

    @classmethod
    def of(cls, params_file: Path | None, source: str | None, image_size_px: int) -> Self:
        """Return the settings of `params_file`; without one those of the project's run, if its model it is.

        Else they are those of `params.yaml`. Raises ParamsError if they do not suit images of `image_size_px`, or are
        not to be had.
        """
        settings = cls._of_run() if params_file is None and source is None else None
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
    def _of_run(cls) -> Self | None:
        lock = Lock(Path())
        if STAGE not in lock:
            return None
        found = lock.params(STAGE)
        params = TypeAdapter(ExplainParams).validate_python(found[STAGE])
        return cls(params=params, seed=derive_seed(found["seed"], STAGE))
