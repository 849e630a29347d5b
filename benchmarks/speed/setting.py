"""What all operations are given: images, shards and weights in one folder, made once a run."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.untrained import untrained_model
from coronet_core.common.classes import CLASSES
from coronet_core.common.shards import Shards, write_shard
from coronet_core.data.sources import phantom
from tasks.networks.trained_tfen import compute_shard, tfen_from
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.schema import ResidualParams


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Sizes and places of a run."""

    folder: str
    side_px: int
    batch: int
    """Images of an action of the autoencoders; the CIN's batches have twice as many."""
    device: str
    threads: int

    @property
    def torch_device(self) -> torch.device:
        """The device as torch's."""
        return torch.device(self.device)

    @property
    def images(self) -> int:
        """How many there are."""
        return 2 * self.batch

    @property
    def files(self) -> list[Path]:
        """The images as PNG files."""
        return sorted((Path(self.folder) / "files").glob("*.png"))

    @property
    def stack(self) -> Shards:
        """The images as `build_split` stores them, (n, H, W) uint8."""
        return Shards.in_folder(Path(self.folder) / "images")

    @property
    def residuals(self) -> Shards:
        """Residual tensors as `materialize_residuals` stores them, (n, 3, H, W) float16."""
        return Shards.in_folder(Path(self.folder) / "residuals")

    @property
    def labels(self) -> torch.Tensor:
        """Class indices (n,) int64."""
        return torch.arange(self.images) % len(CLASSES)

    @property
    def model(self) -> TrainedModel:
        """An untrained network; its autoencoders compute in float32, as those of all presets do."""
        return untrained_model(
            self.side_px, ResidualParams(precision="fp32", batch_size=self.batch, shard_images=self.images)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON takes them."""
        return asdict(self)


def prepare(setting: Setting) -> None:
    """Draw the images and write files and shards."""
    folder = Path(setting.folder)
    (folder / "files").mkdir(parents=True)
    drawn = [
        phantom.draw(9, CLASSES[i % len(CLASSES)], f"speed-{i}", 0, setting.side_px)[0] for i in range(setting.images)
    ]
    for number, pixels in enumerate(drawn):
        Image.fromarray(pixels).save(folder / "files" / f"{number:04d}.png")
    write_shard(folder / "images", 0, np.stack(drawn))
    model = setting.model
    tfen = tfen_from(model.autoencoders, setting.torch_device)
    made = compute_shard(tfen, np.stack(drawn), replace(model.residuals, precision="fp32"), setting.torch_device)
    write_shard(folder / "residuals", 0, made.residuals)
