"""The attribution map over its image as a DICOM secondary capture of the image's study."""

from importlib.metadata import version
from typing import Any, Final

import numpy as np
import pydicom
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from tasks.inference.dicom_report.map_picture import ExplainedMap
from tasks.inference.dicom_report.result_object import (
    NOTICE,
    add_patient_and_study,
    encoded,
    equipment,
    instance_number,
    result_uids,
)
from tasks.runtime.params.explain import MethodName

KIND: Final = "SC"
SERIES_NUMBER: Final = 9802
UPRIGHT: Final = ("L", "F")
"""Required by highdicom; replaced by what the source states."""
BY_WORKSTATION: Final = "WSD"
LOSSY: Final = "01"
YES_OR_NO: Final = ("YES", "NO")


def capture_uid(source: pydicom.Dataset, sha256: str, model_digest: str, method: MethodName, *settings: object) -> str:
    """Return the SOP Instance UID of the map of an image whose file has this SHA-256."""
    return str(result_uids(KIND, source.StudyInstanceUID, sha256, model_digest, method, *settings).instance)


def secondary_capture(
    source: pydicom.Dataset,
    picture: NDArray[np.uint8],
    explained: ExplainedMap,
    sha256: str,
    model_digest: str,
    *settings: object,
) -> bytes:
    """Return a map as the bytes of a DICOM file.

    Args:
        source: Patient, study and image (`source_study.source_of`).
        picture: (H, W, 3), what is shown (`map_picture.map_picture`).
        explained: The map that is in the picture.
        sha256: Of the image's file.
        model_digest: `TrainedModel.digest` of the model that is explained.
        settings: What else the map depends on: parameters and seed of the method.
    """
    uids = result_uids(KIND, source.StudyInstanceUID, sha256, model_digest, explained.method, *settings)
    capture = SCImage(
        pixel_array=picture,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=UPRIGHT,
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=uids.series,
        series_number=SERIES_NUMBER,
        series_description=f"CoroNet map ({explained.method}), research only",
        sop_instance_uid=uids.instance,
        instance_number=instance_number(source),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **equipment(model_digest),
    )
    capture.PatientOrientation = source.get("PatientOrientation")
    capture.Laterality = ""  # of chests there is one
    capture.ConversionType = BY_WORKSTATION
    capture.DerivationDescription = f"{explained.title}, by CoroNet {version('coronet')}. {NOTICE}"
    capture.SourceImageSequence = [_reference(source)]
    add_patient_and_study(capture, source)
    _add_history(capture, source)
    return encoded(capture)


def _reference(source: pydicom.Dataset) -> pydicom.Dataset:
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    purpose = CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)
    reference.PurposeOfReferenceCodeSequence = [purpose]
    return reference


def _add_history(capture: pydicom.Dataset, source: pydicom.Dataset) -> None:
    """Keep what the pixels bring along: losses of compression, and names that are burnt in."""
    if source.get("LossyImageCompression") == LOSSY:
        for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
            value: Any = source.get(keyword)
            if value is not None:
                setattr(capture, keyword, value)
    if source.get("BurnedInAnnotation") in YES_OR_NO:
        capture.BurnedInAnnotation = source.BurnedInAnnotation
