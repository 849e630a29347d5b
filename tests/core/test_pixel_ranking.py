"""The order of pixels by salience."""

import torch

from coronet_core.attribution.pixel_ranking import salience_order


def test_pixels_come_from_the_most_to_the_least_salient() -> None:
    salience = torch.tensor([[[[0.1, 0.9], [0.5, 0.3]]], [[[4.0, 3.0], [2.0, 1.0]]]])
    assert salience_order(salience).tolist() == [[1, 2, 3, 0], [0, 1, 2, 3]]


def test_equal_pixels_are_in_no_order_of_place_and_the_same_for_all_images() -> None:
    flat = torch.zeros(2, 1, 16, 16)
    first, second = salience_order(flat)
    assert sorted(first.tolist()) == list(range(256))
    assert torch.equal(first, second)
    assert abs(first[:64].float().mean().item() - 127.5) < 30  # in rows' order it would be 31.5
