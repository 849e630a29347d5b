"""Maps that know nothing."""

import torch

from coronet_core.attribution.baselines import centre_map, random_maps
from coronet_core.attribution.randomisation import rank_correlation


def test_a_random_map_depends_on_seed_and_name_alone() -> None:
    maps = random_maps(["a", "b"], 32, 24, seed=1)
    assert maps.shape == (2, 1, 32, 24)
    assert torch.equal(random_maps(["b"], 32, 24, seed=1), maps[1:])
    assert not torch.equal(random_maps(["b"], 32, 24, seed=2), maps[1:])
    assert (maps.amin((1, 2, 3)).tolist(), maps.amax((1, 2, 3)).tolist()) == ([0, 0], [1, 1])


def test_random_maps_are_smooth_and_alike_only_by_chance() -> None:
    maps = random_maps([str(i) for i in range(20)], 64, 64, seed=1)
    neighbours = rank_correlation(maps[..., 1:], maps[..., :-1])
    assert neighbours.min() > 0.9
    assert rank_correlation(maps[:10], maps[10:]).mean().abs() < 0.15


def test_the_centre_map_is_highest_in_the_middle_and_the_same_on_both_sides() -> None:
    centre = centre_map(8, 12)[0, 0]
    assert centre.argmax().item() in {3 * 12 + 5, 3 * 12 + 6, 4 * 12 + 5, 4 * 12 + 6}
    torch.testing.assert_close(centre, centre.flip(0))
    torch.testing.assert_close(centre, centre.flip(1))
    assert centre[0, 0] < 0.1 * centre[4, 6]
