"""How the last run differs from the champion, and from the run before it, on the same test images.

Recorded predictions are compared, and no network is run: where the other run was tested on another split, or its
predictions are gone, there is a reason in place of figures.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from coronet_core.common.classes import DISPLAY_NAMES
from coronet_core.support.credentials import first_words
from coronet_core.support.errors import CoroNetError, DataError
from coronet_core.support.whole_files import write_whole
from tasks.package.metadata import DESCRIPTION
from tasks.promotion.model_comparison import Comparison, compare
from tasks.promotion.run_reports import Evidence
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import PACKAGE, STATE

FIGURES: Final = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "roc_auc.macro": "macro ROC-AUC",
    **{
        f"{name}.{label}": f"{name}, {title}"
        for name in ("sensitivity", "specificity")
        for label, title in DISPLAY_NAMES.items()
    },
    "calibration_error": "calibration error (ECE)",
}
FORMER: Final = STATE / "former_run"
"""Folder with the metadata of the package that the run before the last one has made."""
UNNUMBERED: Final = 0
"""For runs that are looked at whether they are registered or not."""
MAX_REASON: Final = 200


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One figure of both runs on the same test images, as shares of 1. What is undefined is None."""

    title: str
    last: float | None
    other: float | None
    difference: float | None
    """Last minus other."""
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Against:
    """The last run beside another one."""

    name: str
    """What the other is called, such as `the champion, version 3`."""
    figures: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    """The images of the comparison, as sentences."""
    reason: str | None = None
    """Why there are no figures; None if there are."""

    @classmethod
    def of(cls, name: str, find: Callable[[], Evidence], params: Params) -> Self:
        """Compare the last run in the current folder with what `find` returns or, by a CoroNetError, does not find."""
        try:
            other = find()
            if other.version != UNNUMBERED and name != f"version {other.version}":
                name = f"{name}, version {other.version}"
            found = _compared(Evidence.of_package(UNNUMBERED, PACKAGE), other, name, params)
        except CoroNetError as error:
            return cls(name=name, reason=str(error))
        except Exception as error:  # noqa: BLE001  # whatever a client library raises must not fail a finished run
            return cls(name=name, reason=f"it cannot be read: {type(error).__name__}: {first_words(error, MAX_REASON)}")
        return cls(name=name, figures=tuple(_rows(found)), notes=found.notes)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def keep_former_run() -> None:
    """Note what the last finished run was; to be called before another one. An unfinished run changes nothing."""
    described = PACKAGE / DESCRIPTION
    if described.is_file():
        content = described.read_bytes()
        write_whole(FORMER / DESCRIPTION, lambda partial: Path(partial).write_bytes(content))


def former_run() -> Evidence:
    """Return the run before the last one in the current folder. Raises DataError if none was noted."""
    if not (FORMER / DESCRIPTION).is_file():
        raise DataError("no earlier run is known in this folder: `coronet run` records the last one when it starts.")
    return Evidence.of_package(UNNUMBERED, FORMER)


def _compared(last: Evidence, other: Evidence, name: str, params: Params) -> Comparison:
    if last.md5s == other.md5s:
        raise DataError("it is the last run itself.")
    if last.split_md5 != other.split_md5:
        raise DataError(
            "it was tested on another split, so its figures are of other images. `coronet promote` tests a champion "
            "again on the images of this one."
        )
    ours, theirs = last.predictions(), other.predictions()
    if ours is None:
        raise DataError("the last run's predictions are missing. Make them again with `coronet run`.")
    if theirs is None:
        raise DataError(
            "its test predictions are neither here nor in DVC's cache or remote: `dvc pull` may bring them."
        )
    return compare(ours, theirs, name, (), params)


def _rows(found: Comparison) -> list[Difference]:
    rows = []
    for figure, title in FIGURES.items():
        if figure in found.differences:
            last, other = (None if math.isnan(value) else value for value in found.values[figure])
            paired = found.differences[figure]
            difference = None if math.isnan(paired.difference) else paired.difference
            rows.append(
                Difference(title=title, last=last, other=other, difference=difference, interval=paired.interval)
            )
    return rows
