"""Augmentation before the autoencoders: by image, by seed, and residuals of what is then seen."""

from pathlib import Path

import numpy as np
import pytest
import torch

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_tensor import TFEN, freeze, residuals_of
from coronet_core.classifier.augmentation import Augmentation, AugmentedInputs
from coronet_core.common.batches import Subset
from coronet_core.common.shards import Shards, write_shard

CPU = torch.device("cpu")
ALL = Augmentation(rotation_degrees=10, shift=0.1, scale=0.1, crop=0.2, brightness=0.2, contrast=0.2)


@pytest.fixture
def images(tmp_path: Path) -> Subset:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 32, 32)).astype(np.uint8)
    write_shard(tmp_path / "images", 0, pixels)
    return Subset(Shards.in_folder(tmp_path / "images"), range(6), CPU)


def test_nothing_is_changed_where_all_is_off() -> None:
    image = torch.rand(3, 1, 16, 16)
    assert Augmentation().is_off
    assert torch.equal(Augmentation()(image, [1, 2, 3]), image)


@pytest.mark.parametrize("part", ["rotation_degrees", "shift", "scale", "crop", "brightness", "contrast"])
def test_each_part_changes_images_within_their_range(part: str) -> None:
    image = torch.rand(4, 1, 32, 32)
    changed = Augmentation(**{part: getattr(ALL, part)})(image, [1, 2, 3, 4])
    assert changed.shape == image.shape
    assert not torch.equal(changed, image)
    assert 0 <= changed.min() <= changed.max() <= 1


def test_an_image_is_changed_alike_in_any_batch_and_otherwise_in_another_epoch(images: Subset) -> None:
    inputs = AugmentedInputs("image", images, TFEN(FPAE(), FPAE()), ALL, "fp32")
    whole = inputs.draw(torch.arange(6), epoch_seed=5)
    assert torch.equal(inputs.draw(torch.tensor([4, 1]), epoch_seed=5), whole[[4, 1]])
    assert not torch.equal(inputs.draw(torch.tensor([4, 1]), epoch_seed=6), whole[[4, 1]])


def test_torchs_own_generator_is_left_alone(images: Subset) -> None:
    inputs = AugmentedInputs("image", images, TFEN(FPAE(), FPAE()), ALL, "fp32")
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    inputs.draw(torch.arange(6), epoch_seed=5)
    assert torch.equal(torch.rand(3), expected)


def test_a_gpus_generator_is_not_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.manual_seed` would seed it, too, and the dropout of the training would follow the last image's seed."""
    seeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    ALL(torch.rand(2, 1, 16, 16), [1, 2])
    assert seeded == []


def test_residuals_are_those_of_the_changed_image(images: Subset) -> None:
    tfen = TFEN(FPAE(), FPAE())
    freeze(tfen, CPU)
    both = AugmentedInputs("residual_tensor_and_image", images, tfen, ALL, "fp32").draw(torch.arange(6), epoch_seed=5)
    expected = residuals_of(tfen, both[:, 3:], "fp32").half().float()
    torch.testing.assert_close(both[:, :3], expected, rtol=0, atol=2e-3)
    assert not both.is_inference()
