"""Reliability: how often the network is right when it is so sure."""

from typing import Any

from matplotlib.figure import Figure

from tasks.reporting.figures.drawing import ACCENT, SOFT, Drawing, drawn, styled

SIDES = (
    ("before", "as given", SOFT, "s", "none"),
    ("after", "calibrated", ACCENT, "o", "full"),
)
"""Key, name, colour, marker and its fill of the probabilities before and after temperature scaling."""


@styled
def reliability_diagram(calibration: dict[str, Any]) -> Drawing:
    """Draw accuracy over confidence before and after calibration, and below how many images are that sure.

    `calibration` is that part of `reports/metrics.json`.
    """
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    described = []
    for key, name, colour, marker, fill in SIDES:
        bins = [one for one in calibration["reliability"][key] if one["images"]]
        confidence, accuracy = ([one[of] for one in bins] for of in ("confidence", "accuracy"))
        error = f"ECE {calibration[key]['ece']:.3f}"
        upper.plot(confidence, accuracy, color=colour, marker=marker, fillstyle=fill, label=f"{name}, {error}")
        edges = [one["low"] for one in calibration["reliability"][key]] + [1.0]
        counts = [one["images"] for one in calibration["reliability"][key]]
        lower.stairs(counts, edges, color=colour, linewidth=1.4)
        points = ", ".join(
            f"{one['confidence']:.2f} sure, {one['accuracy']:.2f} right, {one['images']} images" for one in bins
        )
        described.append(f"{name}, {error}: {points}")
    upper.plot([0, 1], [0, 1], color=SOFT, linewidth=0.8, linestyle=":")
    upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02), title="Reliability")
    upper.legend(loc="upper left")
    lower.set(xlabel="probability of the predicted class", ylabel="images")
    return drawn(figure, f"Accuracy over confidence, in bins. {'. '.join(described)}.")
