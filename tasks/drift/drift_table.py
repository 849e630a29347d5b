"""A comparison in words: the rows of its table."""

from typing import Final

from tasks.drift.drift_check import ABSTAINED, Drift, ScoreDrift

COLUMNS: Final = ("score", "validation images", "window", "PSI", "p (corrected)", "drifted")
"""Medians of scores, and the share of images that are left to a person."""
SMALLEST_SHOWN: Final = 1e-4


def rows_of(drift: Drift) -> list[dict[str, str]]:
    """Return a row a score, by COLUMNS."""
    return [dict(zip(COLUMNS, _cells(score), strict=True)) for score in drift.scores]


def _cells(score: ScoreDrift) -> tuple[str, ...]:
    shift, p = score.shift, score.corrected_p
    values = (
        f"{value:.1%}" if score.name == ABSTAINED else f"{value:.4f}" for value in (shift.reference, shift.window)
    )
    shown_p = f"{p:.4f}" if p >= SMALLEST_SHOWN else f"below {SMALLEST_SHOWN:.4f}"
    return score.name.replace("_", " "), *values, f"{shift.psi:.3f}", shown_p, "yes" if score.drifted else "no"
