"""What the gate has to know of a candidate, as its reports tell it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from coronet_core.common.classes import CLASSES, ClassName


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """To one class, on the test split."""

    share: float | None
    """None without images of the class."""
    low: float | None
    """Lower end of its interval."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Figures and audits of one version on its own test split."""

    sensitivity: Mapping[ClassName, Sensitivity]
    calibration_error: float
    """ECE of the calibrated probabilities."""
    patients_in_two_splits: int
    audit_findings: tuple[str, ...]
    """What the shortcut audit found, in plain sentences; none if it is passed."""

    @classmethod
    def of_reports(cls, metrics: Mapping[str, Any], audit: Mapping[str, Any], split: Mapping[str, Any]) -> Self:
        """Return what `metrics.json`, `audit.json` and `split.json` of one run say."""
        return cls(
            sensitivity={label: _sensitivity(metrics, label) for label in CLASSES},
            calibration_error=metrics["calibration"]["after"]["ece"],
            patients_in_two_splits=split["patients_in_two_splits"],
            audit_findings=tuple(audit["verdict"]["findings"]),
        )


def _sensitivity(metrics: Mapping[str, Any], label: ClassName) -> Sensitivity:
    """Take the lower of two lower ends: draws of patients know no doubt where every image was told right."""
    share = metrics["sensitivity"][label]
    intervals = (metrics["sensitivity_interval"][label], metrics["intervals"]["sensitivity"][label])
    lows = [interval[0] for interval in intervals if interval is not None]
    return Sensitivity(share=share, low=None if share is None else min(lows))
