"""Drift of logged predictions from the validation images, score by score."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from coronet_core.score_drift import Shift, holm, shift_of_scores, shift_of_shares
from coronet_core.support.errors import DataError, ParamsError
from coronet_core.support.plurals import counted
from tasks.calibrate.calibration_file import SCORES, ScoreReference, rounded
from tasks.drift.prediction_window import Span, Window, read_window
from tasks.inference.model_source import load_model

ABSTAINED = "abstained"
COLUMNS: Final = ("score", "validation images", "window", "PSI", "p (corrected)", "drifted")
"""Columns of the table: medians of the scores and, for abstentions, shares."""
SMALLEST_SHOWN: Final = 1e-4


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A score has drifted if both its corrected p-value and its stability index (PSI) pass their limits."""

    level: float = 0.01
    """Upper limit of the chance of a false alarm in a window of images like the validation images."""
    min_psi: float = 0.1
    min_images: int = 50
    """Smaller windows are not tested."""

    def __post_init__(self) -> None:
        """Raise ParamsError for values out of range."""
        if not 0 < self.level < 1:
            raise ParamsError(f"level = {self.level}: allowed: a number between 0 and 1")
        if not self.min_psi >= 0:
            raise ParamsError(f"min_psi = {self.min_psi}: allowed: a number from 0")
        if self.min_images < 1:
            raise ParamsError(f"min_images = {self.min_images}: allowed: a whole number from 1")


@dataclass(frozen=True, kw_only=True)
class ScoreDrift:
    """Drift of one score, or of the share of abstentions."""

    name: str
    shift: Shift
    corrected_p: float
    """Corrected for the number of scores."""
    drifted: bool


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Drift of a window from the reference."""

    model: str
    """Digest of the model."""
    reference_images: int
    window_images: int
    passed_over: dict[str, int]
    """Number of ignored lines of the log, by reason."""
    rule: Rule
    scores: list[ScoreDrift]

    @property
    def drifted(self) -> list[str]:
        """Names of the drifted scores."""
        return [score.name for score in self.scores if score.drifted]

    @property
    def verdict(self) -> str:
        """The result as a sentence."""
        if not self.drifted:
            return f"no drift: {counted(self.window_images, 'image is', 'images are')} like the validation images"
        return f"drift in {', '.join(self.drifted)} ({counted(self.window_images, 'image')})"

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON values, with the verdict."""
        return {**asdict(self), "verdict": self.verdict, "drifted": bool(self.drifted)}


def compare(window: Window, reference: ScoreReference | None, rule: Rule) -> Drift:
    """Return how far `window` has moved from the `reference`.

    Raises DataError if there is no reference, or if there are too few images.
    """
    if reference is None or reference.images == 0:
        raise DataError("this model has no reference scores of validation images. Calibrate it again (`coronet run`).")
    if window.images < rule.min_images:
        passed_over = "".join(f"; {n} {reason}" for reason, n in window.passed_over.items())
        raise DataError(
            f"{counted(window.images, 'image')} in the window, {rule.min_images} needed{passed_over}. Widen the window "
            "(--since, --until), or log more predictions."
        )
    shifts = {name: shift_of_scores(np.array(reference.scores[name]), rounded(window.scores[name])) for name in SCORES}
    shifts[ABSTAINED] = shift_of_shares((reference.abstained, reference.images), (window.abstained, window.images))
    return Drift(
        model=window.model,
        reference_images=reference.images,
        window_images=window.images,
        passed_over=dict(window.passed_over),
        rule=rule,
        scores=_judged(list(shifts), list(shifts.values()), rule),
    )


def _judged(names: Sequence[str], shifts: Sequence[Shift], rule: Rule) -> list[ScoreDrift]:
    corrected = holm([shift.p_value for shift in shifts])
    return [
        ScoreDrift(name=name, shift=shift, corrected_p=p, drifted=p < rule.level and shift.psi >= rule.min_psi)
        for name, shift, p in zip(names, shifts, corrected, strict=True)
    ]


def check(log: Path, span: Span, source: str | None, rule: Rule) -> Drift:
    """Return the drift of the predictions of the model `source`, logged in `span`, from its validation images.

    Raises DataError if there is no log, no such model, or too few images.
    """
    model = load_model(source)
    return compare(read_window(log, model.digest, span), model.calibration.scores, rule)


def rows_of(drift: Drift) -> list[dict[str, str]]:
    """Return one row per score with COLUMNS."""
    return [dict(zip(COLUMNS, _cells(score), strict=True)) for score in drift.scores]


def _cells(score: ScoreDrift) -> tuple[str, ...]:
    shift, p = score.shift, score.corrected_p
    values = (
        f"{value:.1%}" if score.name == ABSTAINED else f"{value:.4f}" for value in (shift.reference, shift.window)
    )
    shown_p = f"{p:.4f}" if p >= SMALLEST_SHOWN else f"below {SMALLEST_SHOWN:.4f}"
    return score.name.replace("_", " "), *values, f"{shift.psi:.3f}", shown_p, "yes" if score.drifted else "no"
