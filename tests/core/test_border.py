"""Salience on the border."""

import pytest
import torch

from coronet_core.attribution.salience_in_regions import frame, mass_within


def test_the_frame_by_hand() -> None:
    outer = frame(10, 20, 0.1)
    assert outer.sum().item() == 10 * 20 - 8 * 16
    assert outer[0].all()
    assert outer[:, :2].all()
    assert not outer[1:-1, 2:-2].any()


def test_mass_by_hand() -> None:
    salience = torch.zeros(2, 1, 10, 10)
    salience[0, 0, 0, 5], salience[0, 0, 5, 5] = 1.0, 3.0
    salience[1] = 1.0
    assert mass_within(salience, frame(10, 10, 0.1)).tolist() == pytest.approx([0.25, 0.36])


def test_a_map_without_salience_has_no_share() -> None:
    assert mass_within(torch.zeros(1, 1, 8, 8), frame(8, 8, 0.2)).isnan().all()
