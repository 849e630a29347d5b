"""How unlike the data the autoencoders know an image is, from the mean energies of its residual tensor.

The score is the Mahalanobis distance of the three log energies (means of |X - F_H|, |X - F_P| and |2X - F_H - F_P| over
the image, eq. (5)-(7)) from those of a reference set, the validation images:

    score(e) = sqrt((log e - mean)^T covariance^-1 (log e - mean))

Why not simply the smaller of the two errors: that finds images which neither autoencoder can rebuild, but not those
which both rebuild too well (blank or smeared ones), nor those whose three energies are usual each and unusual together
(a channel of noise, an inverted image). Logarithms, because energies are positive and vary by factors. The score is
about the whole image; it says nothing about an image's class.
"""

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from coronet_core.support.errors import DataError

SMALLEST_ENERGY: Final = 1e-8
"""Below float16's smallest number; stands for the zero energy of an image that is rebuilt without any error."""
PRIOR_IMAGES: Final = 10
"""The covariance is mixed with so many images' worth of 'the energies vary apart': few images say little of it."""
FOLDS: Final = 10
LEAST_SPREAD: Final = 0.01
"""Added to the standard deviation of each log energy: 1%, so that a reference of equal images has a distance too."""


@dataclass(frozen=True)
class EnergyReference:
    """Log energies of the reference set: what a distance is measured from, and when it counts as far."""

    mean: tuple[float, ...]
    """Of the log energies, (3,)."""
    covariance: tuple[tuple[float, ...], ...]
    """Of the log energies, (3, 3), shrunk towards its diagonal."""
    threshold: float
    """Score above which an image counts as out of distribution."""
    percentile: float
    """The share of the reference images, in percent, whose distance from the others is at most the threshold."""
    images: int
    """In the reference set."""

    @classmethod
    def from_energies(cls, energies: NDArray[np.float64], groups: NDArray[np.object_], percentile: float) -> Self:
        """Return the reference of `energies` (n, 3), all above or equal to 0; `percentile` is in (0, 100).

        `groups` (n,) are the images' patient groups: images of one patient are alike and are held out together.
        Raises DataError without images, and if an energy is not finite.
        """
        _check(energies)
        logs = _log(energies)
        mean, covariance = _moments(logs)
        return cls(
            mean=tuple(mean.tolist()),
            covariance=tuple(tuple(row) for row in covariance.tolist()),
            threshold=float(np.percentile(_held_out_distances(logs, groups), percentile, method="higher")),
            percentile=percentile,
            images=len(logs),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON takes them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the reference that `to_dict` wrote."""
        covariance = tuple(tuple(row) for row in fields["covariance"])
        return cls(**(fields | {"mean": tuple(fields["mean"]), "covariance": covariance}))


def ood_score(energies: NDArray[np.float64], reference: EnergyReference) -> NDArray[np.float64]:
    """Return the scores (n,) of images with `energies` (n, 3): 0 is the middle, larger is less usual.

    An image with an energy that is not finite is infinitely far out.
    """
    is_finite = np.asarray(np.isfinite(energies).all(axis=1))
    logs = _log(np.where(is_finite[:, None], energies, 1.0))
    distances = _distances(logs, np.array(reference.mean), np.array(reference.covariance))
    return np.where(is_finite, distances, np.inf)


def _check(energies: NDArray[np.float64]) -> None:
    if len(energies) == 0:
        raise DataError(
            "no images to compute residual energies from. Raise data.split.validation_fraction or add images."
        )
    if not_finite := int((~np.isfinite(energies)).any(axis=1).sum()):
        raise DataError(
            f"{not_finite} of {len(energies)} images have residual energies that are not finite: an autoencoder's "
            "weights are damaged or its training diverged. Train it again with a smaller autoencoder.learning_rate."
        )


def _log(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(energies, SMALLEST_ENERGY, dtype=np.float64))


def _moments(logs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean (3,) and shrunk covariance (3, 3) of `logs` (n, 3)."""
    n = len(logs)
    mean = logs.mean(axis=0)
    scatter = (logs - mean).T @ (logs - mean)  # (3, 3)
    spread = np.diag(scatter.diagonal() / max(n - 1, 1) + LEAST_SPREAD**2)
    return mean, (scatter + PRIOR_IMAGES * spread) / (n - 1 + PRIOR_IMAGES)


def _held_out_distances(logs: NDArray[np.float64], groups: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return the distance (n,) of each image from those of the other patients, a tenth of the patients at a time.

    Measured from a mean and covariance that an image or its patient's others have shaped, it is too close: the fewer
    patients, the more. Images of a single patient are held out one by one.
    """
    _, patient = np.unique(groups, return_inverse=True)
    if patient.max() == 0:
        patient = np.arange(len(logs))
    fold_of_image = patient % FOLDS
    distances = np.zeros(len(logs))  # what it is for a single image
    for fold in np.unique(fold_of_image) if len(logs) > 1 else ():
        held = fold_of_image == fold
        distances[held] = _distances(logs[held], *_moments(logs[~held]))
    return distances


def _distances(
    logs: NDArray[np.float64], mean: NDArray[np.float64], covariance: NDArray[np.float64]
) -> NDArray[np.float64]:
    centred = logs - mean  # (n, 3)
    squares = (centred * np.linalg.solve(covariance, centred.T).T).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float64)
