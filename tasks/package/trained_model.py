"""A trained CoroNet with everything that a prediction needs, from a file's bytes to calibrated probabilities.

It holds no paths, so it can be sent to other machines.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import sha256

from coronet_core.common.classes import ClassName
from coronet_core.common.literals import Aspect, CinInput, Reading
from tasks.calibrate.calibration_file import Calibration
from tasks.runtime.files import digest
from tasks.runtime.params.schema import ResidualParams


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
    residual_scale: bytes | None = None
    """Content of the file of the scale of the residuals; None if residuals.scale is none."""

    @property
    def digest(self) -> str:
        """Digest of everything that predictions depend on; the same wherever the model comes from."""
        autoencoders = [self.autoencoders[label] for label in sorted(self.autoencoders)]
        weights = [sha256(content).hexdigest() for content in (*autoencoders, self.cin)]
        settings = (self.image_size_px, str(self.aspect), self.residuals, self.cin_input, self.batch_size)
        later: tuple[object, ...] = () if self.reading == 1 else (self.reading,)  # keeps the digests of older models
        if self.residual_scale is not None:
            later = (*later, sha256(self.residual_scale).hexdigest())
        return digest(*weights, *settings, *later, json.dumps(asdict(self.calibration), sort_keys=True))
