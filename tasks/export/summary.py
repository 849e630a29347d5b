"""What is said of an exported file, to read."""

from typing import Any

MIB = 2**20


def summary_lines(told: dict[str, Any]) -> list[str]:
    """Return the lines for what `export` returns."""
    loss, size, weights = told["loss"], told["file_bytes"] / MIB, told["fp32_weights_bytes"] / MIB
    compared = f"against the network in fp32, on {loss['images']} {loss['origin']}"
    differs = f"probabilities differ by at most {loss['largest_difference']:.2g} (mean {loss['mean_difference']:.2g})"
    lines = [
        f"{told['file']}: {size:.1f} MiB (weights in fp32: {weights:.1f} MiB)",
        f"{compared}: {differs}, {loss['other_labels']} other labels",
    ]
    if loss["accuracy"] is not None:
        lines.append(f"accuracy {loss['accuracy']:.4f} (fp32: {loss['accuracy_in_fp32']:.4f})")
    return [*lines, told["metadata"]["notice"]]
