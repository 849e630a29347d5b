"""A trained CoroNet with everything that a prediction needs, from a file's bytes to calibrated probabilities.

It holds no paths, so it can be sent to other machines.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

from coronet_core.common.classes import ClassName
from coronet_core.common.literals import CinInput
from coronet_core.data.options import Aspect, Reading
from tasks.calibrate.calibration_file import Calibration
from tasks.package.dvc_lock import Lock
from tasks.runtime.files import digest, read_json
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.paths import CALIBRATION, CIN_WEIGHTS, SPLIT_STAGE, autoencoder_weights


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """Preprocessing, both autoencoders, CIN and calibration of one run."""

    image_size_px: int
    aspect: Aspect
    """How an image becomes square."""
    residuals: ResidualParams
    cin_input: CinInput
    batch_size: int
    """Batch size of the CIN."""
    autoencoders: dict[ClassName, bytes]
    """Contents of the safetensors files."""
    cin: bytes
    calibration: Calibration
    reading: Reading = 1
    """Version of the rule that converts pixel values to grey."""

    @classmethod
    def of_project(cls, folder: Path) -> Self:
        """Return the model of the last run of the project in `folder`.

        The params are those of that run, from `dvc.lock`: `params.yaml` may have changed since. Raises DataError if
        there is no such run, or if its files do not belong together.
        """
        lock = Lock(folder)
        lock.check_models()
        data, calibrate = lock.params(SPLIT_STAGE)["data"], lock.params("calibrate")
        return cls(
            image_size_px=data["image_size_px"],
            aspect=Aspect(data["aspect"]),
            residuals=ResidualParams(**lock.params("materialize_residuals")["residuals"]),
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

    @property
    def digest(self) -> str:
        """Digest of everything that predictions depend on; the same wherever the model comes from."""
        autoencoders = [self.autoencoders[label] for label in sorted(self.autoencoders)]
        weights = [sha256(content).hexdigest() for content in (*autoencoders, self.cin)]
        settings = (self.image_size_px, str(self.aspect), self.residuals, self.cin_input, self.batch_size)
        later = () if self.reading == 1 else (self.reading,)  # keeps the digests of older models
        return digest(*weights, *settings, *later, json.dumps(asdict(self.calibration), sort_keys=True))
