"""Whether what was logged has drifted from what the model was validated on."""

from pathlib import Path

from tasks.drift.comparison import Drift, Rule, compare
from tasks.drift.window import Span, read_window
from tasks.inference.source import load_model


def check(log: Path, span: Span, source: str | None, rule: Rule) -> Drift:
    """Return how far the predictions of the model `source`, logged in `span`, have moved from its validation images.

    Raises DataError if there is no log, no such model, or too little to tell.
    """
    model = load_model(source)
    return compare(read_window(log, model.digest, span), model.calibration.scores, rule)
