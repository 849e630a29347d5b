"""Accuracy by group."""

from typing import Any

from tasks.reporting.figures.drawing import Drawing
from tasks.reporting.figures.forest import ForestRow, forest


def subgroup_accuracies(subgroups: dict[str, dict[str, dict[str, Any]]], overall: float | None) -> Drawing:
    """Draw the accuracy of each group beside that of all images. `subgroups` is that part of `reports/metrics.json`."""
    rows = [
        ForestRow(
            name=f"{grouping.replace('_', ' ')}: {name} ({figures['images']})",
            value=figures["accuracy"],
            interval=figures["accuracy_interval"],
            is_faint=figures["is_small"],
        )
        for grouping, groups in subgroups.items()
        for name, figures in groups.items()
    ]
    return forest("Accuracy by group (images)", rows, "accuracy", overall or 0.0, "all images")
