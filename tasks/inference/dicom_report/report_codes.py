"""The codes of a structured report: DICOM's where they say what is meant, and a private scheme for the rest.

The classes have private codes although SNOMED has some for the diseases: they are outputs of a classifier, and whoever
searches an archive for patients with COVID-19 must not find research results.
"""

from typing import Final

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES, ClassName

SCHEME: Final = "99CORONET"
"""Private schemes begin with 99 (PS3.3, 8.2)."""


def _private(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value=value, scheme_designator=SCHEME, meaning=meaning)


CLASS_CODES: Final[dict[ClassName, CodedConcept]] = {
    label: _private(f"CLASS-{label.upper()}", DISPLAY_NAMES[label]) for label in CLASSES
}
PROBABILITY: Final[dict[ClassName, CodedConcept]] = {
    label: _private(f"PROB-{label.upper()}", f"Calibrated probability of {DISPLAY_NAMES[label]}") for label in CLASSES
}
PREDICTED: Final = _private("PREDICTED", "Most probable class")
PREDICTION_SET: Final = _private("PREDICTION-SET", "Class that cannot be ruled out")
NEEDS_READER: Final = _private("NEEDS-READER", "Needs a human reader")
OOD: Final = _private("OOD", "Out of distribution")
OOD_SCORE: Final = _private("OOD-SCORE", "Out-of-distribution score")
DISAGREEMENT: Final = _private("DISAGREEMENT", "Disagreement of the networks in nats")
NO_UNITS: Final = codes.UCUM.NoUnits
PROCEDURE: Final = codes.cid100.XRUnspecifiedBodyRegion
FAMILY: Final = codes.cid7162.ArtificialIntelligence
COMMENT: Final = codes.DCM.Comment


def yes_or_no(is_true: bool) -> CodedConcept:  # noqa: FBT001  # that is what it says
    """Return the code of an answer."""
    return CodedConcept.from_code(codes.SCT.Yes if is_true else codes.SCT.No)


def private_scheme() -> CodingSchemeIdentificationItem:
    """Return what explains the private scheme within a file."""
    return CodingSchemeIdentificationItem(
        designator=SCHEME, name="CoroNet classifier", responsible_organization="CoroNet"
    )
