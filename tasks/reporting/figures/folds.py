"""How far the folds of a cross-validation lie apart."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import MaxNLocator

from tasks.reporting.figures.drawing import ACCENT, INK, Drawing, drawn, panel, styled


@styled
def fold_dots(values: Mapping[str, Sequence[float | None]], means: Mapping[str, float | None]) -> Drawing:
    """Draw the value of each fold as a dot and their mean as a line, a row for each name in `values`."""
    figure, axes = panel(4.8, 0.9 + 0.36 * len(values))
    described = []
    for place, (name, of_folds) in enumerate(values.items()):
        known = [value for value in of_folds if value is not None]
        axes.plot(known, [place] * len(known), "o", color=ACCENT, alpha=0.55, markersize=6, markeredgewidth=0)
        mean = means[name]
        text = "not known" if mean is None else f"{mean:.3f}"
        if mean is not None:
            axes.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=1.6)
        span = f", folds from {min(known):.3f} to {max(known):.3f}" if known else ""
        described.append(f"{name}: mean {text}{span}")
    axes.set_yticks(range(len(values)), list(values))
    axes.set(ylim=(len(values) - 0.5, -0.5), xlabel="each dot a fold, the line their mean")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return drawn(figure, f"Values of {max(map(len, values.values()))} folds. {'; '.join(described)}.")
