"""The schema of the section `promotion` of `params.yaml`: what a version must show before it becomes the champion."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import with_config

from tasks.runtime.params.ranges import STRICT, above, number

Approval = Literal["auto", "manual"]
ComparedBy = Literal["accuracy", "balanced_accuracy", "roc_auc.macro"]
Share = Annotated[float, number(0, 1)]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SensitivityFloors:
    """A share for each class."""

    healthy: Share
    pneumonia: Share
    covid19: Share


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class PromotionParams:
    """What a version must show before it becomes the champion (flow promote). No stage depends on it."""

    min_sensitivity: SensitivityFloors
    """What the lower end of the interval of each class's sensitivity must reach; 0 asks for nothing."""
    compared_by: ComparedBy
    """The figure by which a candidate is compared with the champion, on the same test images."""
    max_drop: Share
    """By which the candidate may be worse at most, anywhere in the interval of the paired difference."""
    max_calibration_error: Annotated[float, above(0, 1)]
    """Of the calibrated probabilities (ECE) on the test split."""
    require_leak_audit: bool
    """Refuse a candidate whose test patients are in its training split too."""
    require_shortcut_audit: bool
    """Refuse a candidate that the stage audit did not pass."""
    approval: Approval
    """`manual` asks a person once the rules are met: on Prefect's page, or on the terminal of `coronet promote`."""
    approval_timeout_hours: Annotated[float, above(0, 47)]
    """How long that person has; no answer means no. A run of 48 hours is cancelled by an automation."""
