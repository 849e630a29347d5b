"""The score of images that are unlike those of the reference set."""

import json

import numpy as np
import pytest

from coronet_core.metrics.out_of_distribution import EnergyReference, ood_score
from coronet_core.support.errors import DataError


def usual(n: int, seed: int = 0) -> np.ndarray:
    """Energies of `n` images: the autoencoders err alike, each by a factor of about 1.2 from image to image."""
    rng = np.random.default_rng(seed)
    both = rng.normal(0, 0.2, (n, 1))
    return np.exp(np.log([0.02, 0.025, 0.04]) + both + rng.normal(0, 0.05, (n, 3)))


def reference_of(energies: np.ndarray, images_per_patient: int = 1) -> EnergyReference:
    """The images of a patient stand side by side."""
    groups = np.array([f"p{i // images_per_patient}" for i in range(len(energies))], dtype=object)
    return EnergyReference.from_energies(energies, groups, percentile=95)


REFERENCE = reference_of(usual(2000))


def test_distance_is_mahalanobis_of_the_logs() -> None:
    reference = EnergyReference((0.0, 0.0, 0.0), ((4.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), 1.0, 95.0, 10)
    energies = np.exp([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 3.0, 4.0], [-2.0, 0.0, 0.0]])
    np.testing.assert_allclose(ood_score(energies, reference), [0, 1, 5, 1], atol=1e-12)


def test_the_threshold_leaves_out_the_chosen_share_of_like_images() -> None:
    assert (ood_score(usual(2000), REFERENCE) > REFERENCE.threshold).mean() == pytest.approx(0.05, abs=0.003)
    assert (ood_score(usual(2000, seed=1), REFERENCE) > REFERENCE.threshold).mean() == pytest.approx(0.05, abs=0.02)


def test_few_reference_images_do_not_make_like_images_unusual() -> None:
    shares = []
    for seed in range(40):
        reference = reference_of(usual(6, seed=100 + seed))
        shares.append((ood_score(usual(200, seed=seed), reference) > reference.threshold).mean())
    assert np.mean(shares) < 0.1  # 0.19 with distances from a centre that they shaped themselves


def test_images_of_one_patient_do_not_hold_each_other_close() -> None:
    """Six patients with four images each, which are nearly the same."""
    rng = np.random.default_rng(1)
    shares = []
    for seed in range(40):
        alike = np.repeat(usual(6, seed=100 + seed), 4, axis=0) * np.exp(rng.normal(0, 0.01, (24, 3)))
        reference = reference_of(alike, images_per_patient=4)
        shares.append((ood_score(usual(200, seed=seed), reference) > reference.threshold).mean())
    assert np.mean(shares) < 0.08  # 0.16 where images of one patient are in different tenths


def test_images_of_a_single_patient_are_held_out_one_by_one() -> None:
    assert reference_of(usual(8), images_per_patient=8) == reference_of(usual(8))


@pytest.mark.parametrize(
    "factors",
    [(4, 4, 4), (0.25, 0.25, 0.25), (1, 1, 0.5), (1.5, 0.7, 1.0), (0, 0, 0)],
    ids=["rebuilt by neither", "rebuilt too well", "errors cancel", "autoencoders disagree", "no error at all"],
)
def test_unusual_energies_are_out(factors: tuple[float, float, float]) -> None:
    energies = np.array([[0.02, 0.025, 0.04]]) * factors
    assert ood_score(energies, REFERENCE)[0] > REFERENCE.threshold


def test_the_reference_survives_json() -> None:
    again = EnergyReference.from_dict(json.loads(json.dumps(REFERENCE.to_dict())))
    assert again == REFERENCE
    np.testing.assert_array_equal(ood_score(usual(5), again), ood_score(usual(5), REFERENCE))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_or_equal_reference_images_give_finite_scores(n: int) -> None:
    reference = reference_of(np.full((n, 3), 0.02))
    assert np.isfinite(ood_score(usual(10), reference)).all()
    assert reference.threshold == pytest.approx(0, abs=1e-6)


def test_energies_that_are_not_finite_are_infinitely_far_out() -> None:
    scores = ood_score(np.array([[0.02, 0.025, 0.04], [np.nan, 0.02, 0.03], [np.inf, 0.02, 0.03]]), REFERENCE)
    assert np.isfinite(scores[0])
    assert scores[1:].tolist() == [np.inf, np.inf]


def test_a_reference_without_images_or_finite_energies_is_refused() -> None:
    with pytest.raises(DataError, match="no images to compute residual energies from"):
        reference_of(np.empty((0, 3)))
    with pytest.raises(DataError, match="1 of 2 images have residual energies that are not finite"):
        reference_of(np.array([[0.1, 0.1, 0.1], [np.nan, 0.1, 0.1]]))
