"""The patient, study and image that a DICOM object of a prediction belongs to, taken from the image's own header."""

import io
import unicodedata
import warnings
from typing import Any, Final

import pydicom
from pydicom.charset import python_encoding
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.uid import UID
from pydicom.valuerep import validate_value

from coronet_core.data.reading.dicom import is_dicom
from coronet_core.data.reading.dicom_header import value_of
from coronet_core.data.reading.radiograph import dicom_faults
from coronet_core.support.errors import DataError

NOT_DICOM: Final = "not DICOM"
"""The reason why a PNG has no report: it names no study."""
IDENTIFIERS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
"""Without them, nothing says where a report belongs."""
WHO: Final = ("PatientName", "PatientID", "IssuerOfPatientID")
"""Copied as they are or not at all: half a name is another patient's."""
COPIED: Final = (
    *WHO,
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
)
"""Attributes of patient and study, the same in all objects of a study."""
OF_IMAGE: Final = (
    "InstanceNumber",
    "PatientOrientation",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
"""What a picture that is made of the image goes by."""
NOT_DECODED: Final = "\ufffd"
"""Stands where bytes are no text of the character set that the file states."""
IMAGE_CLASS: Final = "ImageStorage"
RETIRED: Final = ("Retired", "Trial", "Hardcopy", "DICOS", "EddyCurrent")


def source_of(content: bytes) -> pydicom.Dataset:
    """Return identifiers, patient, study and image attributes of a DICOM file, as text and checked against their types.

    Optional values that break their type, such as a date that is none, are left out. Raises DataError, which quotes no
    value, if `content` is not DICOM, names no study or image, or has a patient who cannot be copied exactly.
    """
    if not is_dicom(content):
        raise DataError(NOT_DICOM)
    wanted = [*IDENTIFIERS, *COPIED, *OF_IMAGE]
    with warnings.catch_warnings(action="ignore"), dicom_faults():  # they would quote values
        header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, force=True, specific_tags=[*wanted])
        values = {keyword: _text(value_of(header, keyword)) for keyword in wanted}
        character_sets = _text(value_of(header, "SpecificCharacterSet"))
    source = pydicom.Dataset()
    _set_identifiers(source, values)
    for keyword in (*COPIED, *OF_IMAGE):
        value = values[keyword]
        if value and _is_sound(keyword, value, character_sets):
            setattr(source, keyword, value)
        elif value and keyword in WHO:
            raise DataError(
                f"no report: {keyword} is too long or not valid in the file's character set, so it cannot be copied "
                "exactly. Correct the file's header at its origin."
            )
    return source


def _set_identifiers(source: pydicom.Dataset, values: dict[str, str]) -> None:
    wrong = [keyword for keyword in IDENTIFIERS if not UID(values[keyword]).is_valid]
    if wrong:
        raise DataError(
            f"no report: {', '.join(wrong)} missing or malformed, so nothing says where a report belongs. Export the "
            "image with the identifiers of its study."
        )
    for keyword in IDENTIFIERS:
        setattr(source, keyword, UID(values[keyword]))
    kind = source.SOPClassUID.keyword
    if IMAGE_CLASS not in kind or any(word in kind for word in RETIRED):
        raise DataError("no report: its SOP class is not one of images in DICOM. Export it as one, such as CR or DX.")


def _text(value: Any) -> str:
    """Return a value as text, several parts joined as DICOM joins them; nothing if there is none."""
    if value is None:
        return ""
    parts = [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value)
    if isinstance(value, pydicom.valuerep.PersonName):
        parts = [str(value)]
    texts = (part.decode("ascii", "replace") if isinstance(part, bytes) else str(part) for part in parts)
    return "\\".join(texts).strip()


def _is_sound(keyword: str, value: str, character_sets: str) -> bool:
    """Whether `value` is of the attribute's type, and was decoded by a character set that the file states."""
    if NOT_DECODED in value or any(unicodedata.category(one) == "Cc" for one in value):
        return False
    stated = [name for name in character_sets.split("\\") if name]
    if not value.isascii() and not (stated and all(name in python_encoding for name in stated)):
        return False
    parts = value.split("\\")
    if len(parts) > 1 and keyword in WHO:
        return False
    try:
        for part in parts:
            validate_value(dictionary_VR(keyword), part, RAISE)
    except ValueError:
        return False
    return True
