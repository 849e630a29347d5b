"""Training curves."""

import pandas as pd
from matplotlib.ticker import MaxNLocator

from coronet_core.common.literals import KeptWeights
from coronet_core.learning.early_stopping import best_epoch
from coronet_core.support.plurals import counted
from tasks.report.plots.drawing import ACCENT, SOFT, Drawing, drawn, legend_below, panel, styled


@styled
def training_curves(name: str, history: pd.DataFrame, best_by: str, keep: KeptWeights = "best") -> Drawing:
    """Draw the losses of a network by epoch, with the chosen epoch marked.

    `history` has one row per epoch, or one of epoch 0 for weights that were not trained here, and of several networks a
    column `network`; `best_by` is the column by which the best epoch was chosen, where the best is kept.
    """
    networks = [table for _, table in history.groupby("network")] if "network" in history else [history]
    is_trained = history["epoch"].max() > 0
    figure, axes = panel(3.4, 2.9)
    for number, table in enumerate(networks):
        labels = ("training", "validation") if number == 0 else (None, None)
        for column, label, colour in zip(("training_loss", "validation_loss"), labels, (SOFT, ACCENT), strict=True):
            axes.plot(table["epoch"], table[column], label=label, color=colour, marker=".")
    first = networks[0]
    if keep == "best":
        kept = best_epoch([{str(name): row[name] for name in row} for row in first.to_dict("records")], best_by)
        axes.axvline(kept, color=ACCENT, linewidth=0.9, linestyle=":")
        how = f"The weights of epoch {kept} are kept, chosen by {best_by.replace('_', ' ')}"
    else:
        kept = int(first["epoch"].iloc[-1])
        how = f"The weights of epoch {kept} are kept" if keep == "last" else "The mean of later epochs' weights is kept"
    axes.set(title=name, xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    legend_below(figure, 2)
    then = first.set_index("epoch").loc[kept]
    of_several = f" The first of {len(networks)} networks:" if len(networks) > 1 else ""
    n_epochs = int(first["epoch"].iloc[-1])
    if not is_trained:
        return drawn(figure, f"{name} was not trained by epochs. Validation loss {then['validation_loss']:.4g}.")
    return drawn(
        figure,
        f"Loss of {name} by epoch, {counted(n_epochs, 'epoch')}.{of_several} {how}: training loss "
        f"{then['training_loss']:.4g}, validation loss {then['validation_loss']:.4g} there.",
    )
