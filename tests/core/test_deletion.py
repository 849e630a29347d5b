"""Deletion and insertion curves, by hand on a linear network and against maps that know nothing."""

import pytest
import torch

from coronet_core.attribution.baselines import centre_map, random_maps
from coronet_core.attribution.deletion_and_insertion import area, deletion_and_insertion
from tests.core.linear_models import Linear, patch


def bright(n_images: int, side_px: int) -> torch.Tensor:
    """Boards of black and white: their blur is grey."""
    board = ((torch.arange(side_px)[:, None] + torch.arange(side_px)) % 2).float()
    return board.expand(n_images, 1, side_px, side_px)


def test_the_area_by_hand() -> None:
    curves = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert area(curves).tolist() == [1.0, 0.5, 0.25, 0.0]


def test_curves_by_hand() -> None:
    """Two white pixels count; the map has one first and the other last."""
    weights = torch.zeros(4, 4)
    weights[0, 1] = weights[3, 2] = 2.0
    salience = torch.full((1, 1, 4, 4), 0.5)
    salience[0, 0, 0, 1], salience[0, 0, 3, 2] = 1.0, 0.0
    target = torch.zeros(1, dtype=torch.int64)
    network, board = Linear(weights), bright(1, 4)
    curves = deletion_and_insertion(network, board, target, salience, steps=16, null_blur_radius_px=30.0)
    both, one, none = (torch.tensor([e, -e, 0.0]).softmax(0)[0].item() for e in (4.0, 3.0, 2.0))
    expected = [both, *[one] * 15, none]
    torch.testing.assert_close(curves.deletion, torch.tensor([expected]), atol=1e-2, rtol=0)
    torch.testing.assert_close(curves.insertion, torch.tensor([expected[::-1]]), atol=1e-2, rtol=0)


@pytest.mark.parametrize("control", ["random", "centre", "flat", "reversed"])
def test_the_true_map_beats_those_that_know_nothing(control: str) -> None:
    important = patch(32, 18, 3, 8)
    network, images = Linear(0.2 * important * bright(1, 32)[0, 0], bias=-4.8), bright(12, 32)
    target = torch.zeros(12, dtype=torch.int64)
    others = {
        "random": random_maps([str(i) for i in range(12)], 32, 32, seed=0),
        "centre": centre_map(32, 32).expand(12, -1, -1, -1),
        "flat": torch.zeros(12, 1, 32, 32),
        "reversed": (1 - important).expand(12, 1, 32, 32),
    }
    true, other = (
        deletion_and_insertion(network, images, target, maps, steps=16, null_blur_radius_px=20.0)
        for maps in (important.expand(12, 1, 32, 32), others[control])
    )
    assert (area(true.deletion) < area(other.deletion) - 0.1).all()
    assert (area(true.insertion) > area(other.insertion) + 0.1).all()


def test_a_batch_gives_each_image_the_curves_that_it_gets_alone() -> None:
    network, images, salience = Linear(torch.randn(16, 16)), torch.rand(3, 1, 16, 16), torch.rand(3, 1, 16, 16)
    target = torch.tensor([0, 1, 2])
    together = deletion_and_insertion(network, images, target, salience, steps=5, null_blur_radius_px=2.0)
    for i in range(3):
        one = slice(i, i + 1)
        alone = deletion_and_insertion(
            network, images[one], target[one], salience[one], steps=5, null_blur_radius_px=2.0
        )
        torch.testing.assert_close(together.deletion[one], alone.deletion)
        torch.testing.assert_close(together.insertion[one], alone.insertion)
