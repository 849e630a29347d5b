"""`dvc.lock`: the params of the trained networks, and whether the files here come from the same run."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from coronet_core.common.literals import Aspect
from coronet_core.support.checksums import damaged_file
from coronet_core.support.errors import DataError
from tasks.calibrate.calibration_file import Calibration
from tasks.package.trained_model import TrainedModel
from tasks.runtime.files import read_json
from tasks.runtime.params.checks import PARAMS_FILE
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.paths import (
    CALIBRATION,
    CIN_WEIGHTS,
    DVC_LOCK,
    RESIDUAL_SCALE,
    RESIDUALS,
    SPLIT_STAGE,
    autoencoder_weights,
)

PACKAGE_STAGE: Final = "package"
NEEDED: Final = (SPLIT_STAGE, "materialize_residuals", "train_cin", "calibrate")
REMEDY: Final = "Restore it (`git checkout dvc.lock`), or delete it and run `coronet run`."


def _stages_of(path: Path) -> dict[str, Any]:
    try:
        stages = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["stages"]
    except (YAMLError, UnicodeDecodeError, LookupError, TypeError) as error:
        raise damaged_file(path, "not DVC's record of a run", REMEDY) from error
    if not isinstance(stages, dict):
        raise damaged_file(path, "it has no stages", REMEDY)
    return stages


class Lock:
    """DVC's record of the last run of each stage but `package`, whose entry is of the run before while it runs."""

    def __init__(self, folder: Path) -> None:
        """Read the lock of the project in `folder`. Raises DataError unless its stages have run up to `calibrate`."""
        path = folder / DVC_LOCK
        self._folder = folder
        stages: dict[str, Any] = _stages_of(path) if path.is_file() else {}
        self._stages = {name: stage for name, stage in stages.items() if name != PACKAGE_STAGE}
        if missing := [stage for stage in NEEDED if stage not in self._stages]:
            raise DataError(f"{path}: the stage {missing[0]} has not run. Train the networks first (`coronet run`).")

    def params(self, stage: str) -> dict[str, Any]:
        """Return the params that `stage` ran with, by their keys in `dvc.yaml`."""
        found: dict[str, Any] = self._stages[stage]["params"][str(PARAMS_FILE)]
        return found

    def all_params(self) -> dict[str, Any]:
        """Return the params that all stages ran with, by section: `{"seed": 1, "cin": {"epochs": 2, ...}}`."""
        found: dict[str, Any] = {}
        for stage in self._stages:
            for key, value in self._stages[stage].get("params", {}).get(str(PARAMS_FILE), {}).items():
                *sections, name = key.split(".")
                section = found
                for step in sections:
                    section = section.setdefault(step, {})
                section[name] = section.get(name, {}) | value if isinstance(value, dict) else value
        return found

    def md5s(self) -> dict[str, str]:
        """Return DVC's MD5 of each file and folder that a stage read or wrote, by path."""
        entries = [
            entry for stage in self._stages.values() for kind in ("deps", "outs") for entry in stage.get(kind, [])
        ]
        return {entry["path"]: entry["md5"] for entry in entries}

    def check_models(self) -> None:
        """Raise DataError unless the networks and the calibration of this folder come from the same run."""
        for path, is_its in self._bonds():
            if not is_its:
                raise DataError(
                    f"{self._folder / path}: does not belong to the other networks and the calibration. "
                    "Bring the stages up to date (`coronet run`), or get the last run's files with `dvc checkout`."
                )

    def _bonds(self) -> Iterator[tuple[Path, bool]]:
        for path in (autoencoder_weights("healthy"), autoencoder_weights("pneumonia")):
            yield path, self._md5(path) == self._entry("materialize_residuals", "deps", path)
        made = self._entry("materialize_residuals", "outs", RESIDUALS)
        if self._entry("materialize_residuals", "outs", RESIDUAL_SCALE) is not None:
            is_its = self._md5(RESIDUAL_SCALE) == self._entry("materialize_residuals", "outs", RESIDUAL_SCALE)
            yield RESIDUAL_SCALE, is_its
        for stage in ("train_cin", "calibrate"):
            yield RESIDUALS, self._entry(stage, "deps", RESIDUALS) == made
        yield CIN_WEIGHTS, self._md5(CIN_WEIGHTS) == self._entry("calibrate", "deps", CIN_WEIGHTS)
        yield CALIBRATION, self._md5(CALIBRATION) == self._entry("calibrate", "outs", CALIBRATION)

    def _entry(self, stage: str, kind: str, path: Path) -> str | None:
        entries = {entry["path"]: entry["md5"] for entry in self._stages[stage][kind]}
        return entries.get(str(path))

    def _md5(self, path: Path) -> str:
        """Return DVC's MD5 of a file. Raises DataError if it is missing."""
        if not (self._folder / path).is_file():
            raise DataError(f"{self._folder / path}: missing. Run `coronet run`, or get it with `dvc checkout`.")
        return hashlib.md5((self._folder / path).read_bytes(), usedforsecurity=False).hexdigest()


def model_of_last_run(folder: Path) -> TrainedModel:
    """Return the model of the last run of the project in `folder`.

    The params are those of that run, from `dvc.lock`: `params.yaml` may have changed since. Raises DataError if there
    is no such run, or if its files do not belong together.
    """
    lock = Lock(folder)
    lock.check_models()
    residuals = ResidualParams(**lock.params("materialize_residuals")["residuals"])
    data, calibrate = lock.params(SPLIT_STAGE)["data"], lock.params("calibrate")
    return TrainedModel(
        image_size_px=data["image_size_px"],
        aspect=Aspect(data["aspect"]),
        residuals=residuals,
        residual_scale=None if residuals.scale == "none" else (folder / RESIDUAL_SCALE).read_bytes(),
        cin_input=calibrate["cin.input"],
        batch_size=calibrate["evaluate.batch_size"],
        autoencoders={
            "healthy": (folder / autoencoder_weights("healthy")).read_bytes(),
            "pneumonia": (folder / autoencoder_weights("pneumonia")).read_bytes(),
        },
        cin=(folder / CIN_WEIGHTS).read_bytes(),
        calibration=Calibration.from_dict(read_json(folder / CALIBRATION)),
        reading=data.get("reading", 1),
    )
