"""Optuna's own figures of a hyperparameter search, as pictures.

Drawn by matplotlib: those that Optuna draws by plotly need its JavaScript, 5 MB in every page.
"""

import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import optuna
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from optuna.exceptions import ExperimentalWarning
from optuna.importance import get_param_importances
from optuna.trial import TrialState
from optuna.visualization import matplotlib as optuna_plots

from coronet_core.support.plurals import counted
from tasks.report.plots.drawing import Drawing, drawn

MIN_TRIALS: Final = 10
"""Complete ones, from which importances are taken."""
MAX_NAME: Final = 16
"""Characters of a value's name in a figure."""


@contextmanager
def _shielded() -> Iterator[None]:
    """Undo the style that plots set for the whole process; leave out warnings, such as of axes with a single value."""
    with warnings.catch_warnings(), mpl.rc_context():
        for kind in (ExperimentalWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        yield


def search_history(study: optuna.Study, figure: str) -> Drawing:
    """Draw the `figure` of each trial, and the best so far."""
    best = study.best_trial
    alt = f"{figure} of each trial. The best is that of trial {best.number}: {best.value:.5g}."
    return _drawn(lambda: optuna_plots.plot_optimization_history(study, target_name=figure), alt)


def search_slices(study: optuna.Study, figure: str) -> Drawing:
    """Draw the `figure` of each trial over each param."""
    chosen = ", ".join(f"{name} {value}" for name, value in study.best_params.items())
    alt = f"{figure} of the trials over each param. The best trial has {chosen}."
    return _drawn(lambda: _with_short_names(optuna_plots.plot_slice(study, target_name=figure)), alt)


def search_epochs(study: optuna.Study, figure: str) -> Drawing | None:
    """Draw the `figure` of each trial by epoch; None if it is not known by epoch."""
    reported = sum(bool(trial.intermediate_values) for trial in study.get_trials(deepcopy=False))
    if not reported:
        return None
    alt = f"{figure} of {counted(reported, 'trial')} by epoch; a line that ends early: pruned or failed."
    return _drawn(lambda: _without_legend(optuna_plots.plot_intermediate_values(study)), alt)


def search_importances(study: optuna.Study) -> Drawing | None:
    """Draw how much each param matters for the figure; None with too few trials to say."""
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < MIN_TRIALS:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # of importances that are all equal
        try:
            found = get_param_importances(study)
        except (UserWarning, ValueError, RuntimeError):
            return None
    alt = "Importance of each param: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    return _drawn(lambda: _without_legend(optuna_plots.plot_param_importances(study)), alt)


def _with_short_names(plot: Any) -> Any:
    """Turn the names of values below a plot's axes, and cut long ones, so that they do not overlap."""
    for axes in np.ravel(plot):
        axes.figure.canvas.draw()  # makes the names
        labels = [label.get_text() for label in axes.get_xticklabels()]
        if any(len(text) > MAX_NAME and "$" not in text for text in labels):
            axes.set_xticks(axes.get_xticks(), [textwrap.shorten(text, MAX_NAME, placeholder="...") for text in labels])
        axes.tick_params(axis="x", labelrotation=30)
    return plot


def _without_legend(axes: Axes) -> Axes:
    """Remove the legend, which has a line a trial or, of importances, covers bars to name the one figure."""
    if (legend := axes.get_legend()) is not None:
        legend.remove()
    return axes


def _drawn(plot: Callable[[], Any], alt: str) -> Drawing:
    with _shielded():
        plt.switch_backend("Agg")
        figure = np.ravel(plot())[0].figure
        try:
            return drawn(figure, alt, trimmed=True)
        finally:
            plt.close(figure)
