"""Training curves."""

import pandas as pd
from matplotlib.ticker import MaxNLocator

from coronet_core.learning.loop import best_epoch
from tasks.report.plots.drawing import ACCENT, SOFT, Drawing, drawn, panel, styled


@styled
def training_curves(name: str, history: pd.DataFrame, best_by: str) -> Drawing:
    """Draw the losses of a network by epoch, with the chosen epoch marked.

    `history` has one row per epoch, or one of epoch 0 for weights from a file; `best_by` is the column by which the
    best epoch was chosen.
    """
    is_trained = history["epoch"].iloc[-1] > 0
    best = best_epoch([float(value) for value in history[best_by]], best_by) if is_trained else 0
    figure, axes = panel(3.4, 2.7)
    axes.plot(history["epoch"], history["training_loss"], label="training", color=SOFT, marker=".")
    axes.plot(history["epoch"], history["validation_loss"], label="validation", color=ACCENT, marker=".")
    axes.axvline(best, color=ACCENT, linewidth=0.9, linestyle=":")
    axes.set(title=name, xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    axes.legend()
    at_best = history.set_index("epoch").loc[best]
    if not is_trained:
        return drawn(
            figure,
            f"{name} was not trained here: its weights are those of a file. Validation loss "
            f"{at_best['validation_loss']:.4g}.",
        )
    return drawn(
        figure,
        f"Loss of {name} by epoch, {len(history)} epochs. The weights of epoch {best} are kept, chosen by "
        f"{best_by.replace('_', ' ')}: training loss {at_best['training_loss']:.4g}, validation loss "
        f"{at_best['validation_loss']:.4g} there.",
    )
