"""Spearman's correlation of maps."""

import pytest
import torch
from scipy.stats import spearmanr

from coronet_core.attribution.randomisation import rank_correlation, repeatability


def test_correlations_are_scipys_with_ties_too() -> None:
    first, second = torch.randint(0, 9, (3, 1, 8, 8)).float(), torch.rand(3, 1, 8, 8)
    for i, found in enumerate(rank_correlation(first, second).tolist()):
        assert found == pytest.approx(spearmanr(first[i].flatten(), second[i].flatten()).statistic)


def test_only_the_order_counts() -> None:
    maps = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(rank_correlation(maps, maps.exp()), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(rank_correlation(maps, -maps), -torch.ones(2, dtype=torch.float64))


def test_a_flat_map_has_no_order() -> None:
    assert rank_correlation(torch.rand(1, 1, 4, 4), torch.ones(1, 1, 4, 4)).isnan().all()


def test_repeatability_is_the_mean_over_pairs_of_runs() -> None:
    run = torch.rand(1, 1, 8, 8)
    runs = torch.stack([run, run, -run])  # pairs: 1, -1, -1
    assert repeatability(runs).tolist() == pytest.approx([-1 / 3])
