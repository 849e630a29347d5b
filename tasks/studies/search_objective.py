"""The figures that a hyperparameter search may optimise: of the validation split, never of the test split.

Those of the history of `train_cin` are the ones of the epoch whose weights are kept, which `cin.best_by` chooses:
`coronet run` with the same params gets that network, not the best value of another epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

from coronet_core.learning.early_stopping import best_epoch
from coronet_core.support.errors import ParamsError
from tasks.runtime.files import read_json, read_numbers
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.paths import CALIBRATION, CIN_HISTORY

ObjectiveName = Literal["validation_loss", "validation_accuracy", "validation_nll", "validation_brier"]
Direction = Literal["minimize", "maximize"]
PREFIX: Final = "validation_"
EPOCH: Final = "epoch"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """A figure to optimise."""

    name: ObjectiveName
    direction: Direction
    last_stage: str
    """The stage that makes it."""
    is_of_epochs: bool
    """Whether each epoch of a network has it, so that a trial can be pruned before its end.

    A CIN of several networks has no such figure as a whole.
    """
    is_class_weighted: bool
    """Whether it is weighted by `cin.class_weights`."""

    def value(self, folder: Path, params: CinParams) -> float:
        """Return the figure of the run in `folder`. Raises DamagedFileError if its file is missing or damaged."""
        if not self.is_of_epochs:
            uncalibrated = read_json(folder / CALIBRATION)["before"]
            return float(uncalibrated[self.name.removeprefix(PREFIX)])
        *_, last = self.by_epoch(folder, params).values()
        return last

    def by_epoch(self, folder: Path, params: CinParams) -> dict[int, float]:
        """Return, by epoch of the run in `folder`, the figure of the epoch that would be kept by then.

        0 is the start, where a head that was fitted is validated before any training.
        """
        table = read_numbers(folder / CIN_HISTORY, [EPOCH, self.name, params.best_by])
        rows: list[Any] = table.to_dict("records")
        return {int(row[EPOCH]): self.kept_value(rows[:n], params) for n, row in enumerate(rows, start=1)}

    def kept_value(self, epochs: Sequence[Mapping[str, float]], params: CinParams) -> float:
        """Return the figure of the epoch among `epochs`, rows of the history, that `cin.keep` and `cin.best_by` keep.

        The average of weights has no figure of its own: the last epoch's stands for it.
        """
        if params.keep != "best":
            return float(epochs[-1][self.name])
        best = best_epoch(epochs, params.best_by)
        return float(next(row[self.name] for row in epochs if row[EPOCH] == best))


def _of_epochs(name: ObjectiveName, direction: Direction, *, is_class_weighted: bool) -> Objective:
    return Objective(
        name=name,
        direction=direction,
        last_stage="train_cin",
        is_of_epochs=True,
        is_class_weighted=is_class_weighted,
    )


def _of_predictions(name: ObjectiveName) -> Objective:
    return Objective(
        name=name, direction="minimize", last_stage="calibrate", is_of_epochs=False, is_class_weighted=False
    )


OBJECTIVES: Final[dict[str, Objective]] = {
    one.name: one
    for one in (
        _of_epochs("validation_loss", "minimize", is_class_weighted=True),
        _of_epochs("validation_accuracy", "maximize", is_class_weighted=False),
        _of_predictions("validation_nll"),
        _of_predictions("validation_brier"),
    )
}


def find_objective(name: str) -> Objective:
    """Return the objective `name`. Raises ParamsError for any other figure, those of the test split above all."""
    if name not in OBJECTIVES:
        raise ParamsError(
            f"objective = {name}: not a figure of the validation split. Allowed: {', '.join(get_args(ObjectiveName))}. "
            "Figures of the test split judge the winner, so they must not choose it."
        )
    return OBJECTIVES[name]
