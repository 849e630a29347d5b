"""Which images of a split a model has seen."""

from typing import Final

from coronet_core.common.classes import FOR_AUTOENCODERS

SEEN: Final = ("train", "validation", FOR_AUTOENCODERS)
"""Splits that determine the weights, the stopping epoch or the calibration."""
