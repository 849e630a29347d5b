"""The classes of the paper, in the one order that every array, table and file follows; the splits; units of folds."""

from typing import Final, Literal

ClassName = Literal["healthy", "pneumonia", "covid19"]

CLASSES: Final[tuple[ClassName, ...]] = ("healthy", "pneumonia", "covid19")

DISPLAY_NAMES: Final[dict[ClassName, str]] = {
    "healthy": "Healthy",
    "pneumonia": "non-COVID Pneumonia",
    "covid19": "COVID-19",
}
"""Names as the paper's tables print them."""

SplitName = Literal["train", "validation", "test"]

SPLITS: Final[tuple[SplitName, ...]] = ("train", "validation", "test")

FOR_AUTOENCODERS: Final = "autoencoders"
"""Stands where a split's name does, for images that only train the autoencoders."""

SEEN_SPLITS: Final = ("train", "validation", FOR_AUTOENCODERS)
"""Splits that determine the weights, the epoch that is kept or the calibration."""

FoldUnit = Literal["patients", "images"]
"""What a fold of a cross-validation keeps whole."""
