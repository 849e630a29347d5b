"""A prediction as a DICOM structured report: a measurement report (TID 1500) in a Comprehensive SR of the study."""

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import pydicom
from highdicom.sr import (
    AlgorithmIdentification,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes

from coronet_core.common.classes import CLASSES
from tasks.inference.dicom_report import report_codes
from tasks.inference.dicom_report.result_object import (
    MAKER,
    MODEL_NAME,
    NOTICE,
    add_patient_and_study,
    derived_uid,
    encoded,
    equipment,
    instance_number,
    result_uids,
)

KIND: Final = "SR"
SERIES_NUMBER: Final = 9801
"""Far from the numbers that machines give their series."""
SERIES_DESCRIPTION: Final = "CoroNet research result, not a diagnosis"


def report_uid(source: pydicom.Dataset, sha256: str, model_digest: str) -> str:
    """Return the SOP Instance UID of the report on an image whose file has this SHA-256."""
    return str(result_uids(KIND, source.StudyInstanceUID, sha256, model_digest).instance)


def structured_report(source: pydicom.Dataset, row: Mapping[str, Any], model_digest: str) -> bytes:
    """Return the report on one image as the bytes of a DICOM file.

    Args:
        source: Patient, study and image (`source_study.source_of`).
        row: A row of `tasks.package.prediction_schema.SCHEMA` without an error, for the same file.
        model_digest: `TrainedModel.digest` of the model that made the row.
    """
    uids = result_uids(KIND, source.StudyInstanceUID, row["sha256"], model_digest)
    report = ComprehensiveSR(
        evidence=[_evidence(source)],
        content=_content(source, row, model_digest),
        series_instance_uid=uids.series,
        series_number=SERIES_NUMBER,
        series_description=SERIES_DESCRIPTION,
        sop_instance_uid=uids.instance,
        instance_number=instance_number(source),
        coding_schemes=[report_codes.private_scheme()],
        is_complete=True,  # and, as by default, preliminary and not verified
        **equipment(model_digest),
    )
    add_patient_and_study(report, source)
    return encoded(report)


def _evidence(source: pydicom.Dataset) -> pydicom.Dataset:
    """Return the image as highdicom refers to it, without a patient: highdicom warns of names that it finds odd."""
    evidence = pydicom.Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        setattr(evidence, keyword, source.get(keyword))
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(evidence, keyword, None)
    evidence.StudyDate = evidence.StudyTime = None
    return evidence


def _content(source: pydicom.Dataset, row: Mapping[str, Any], model_digest: str) -> MeasurementReport:
    device = DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", model_digest),
        name=MAKER,
        manufacturer_name=MAKER,
        model_name=MODEL_NAME,
        serial_number=model_digest,
    )
    report = MeasurementReport(
        observation_context=ObservationContext(
            observer_device_context=ObserverContext(
                observer_type=codes.DCM.Device, observer_identifying_attributes=device
            )
        ),
        procedure_reported=report_codes.PROCEDURE,
        imaging_measurements=[_group(source, row, model_digest)],
    )
    report[0].ContentSequence.append(_comment(NOTICE))  # TID 1500 is extensible
    return report


def _group(source: pydicom.Dataset, row: Mapping[str, Any], model_digest: str) -> MeasurementsAndQualitativeEvaluations:
    algorithm = AlgorithmIdentification(
        name=MAKER,
        version=version("coronet"),
        parameters=[f"model digest {model_digest}"],
        family=report_codes.FAMILY,
        manufacturer=MAKER,
    )
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derived_uid("tracking", row["sha256"], model_digest), identifier="CoroNet classification"
        ),
        algorithm_id=algorithm,
        measurements=_measurements(row),
        qualitative_evaluations=_evaluations(row),
        source_images=[SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)],
    )
    group[0].ContentSequence.extend(_comment(text) for text in _remarks(row))  # as is TID 1501
    return group


def _measurements(row: Mapping[str, Any]) -> list[Measurement]:
    figures = {report_codes.PROBABILITY[label]: row[f"calibrated_{label}"] for label in CLASSES}
    further = {report_codes.OOD_SCORE: row["ood_score"], report_codes.DISAGREEMENT: row["disagreement"]}
    known = {name: value for name, value in further.items() if value is not None and math.isfinite(value)}
    return [
        Measurement(name=name, value=float(value), unit=report_codes.NO_UNITS)
        for name, value in (figures | known).items()
    ]


def _evaluations(row: Mapping[str, Any]) -> list[QualitativeEvaluation]:
    answers = [
        (report_codes.PREDICTED, report_codes.CLASS_CODES[row["predicted"]]),
        *((report_codes.PREDICTION_SET, report_codes.CLASS_CODES[label]) for label in row["prediction_set"]),
        (report_codes.NEEDS_READER, report_codes.yes_or_no(row["abstained"])),
        (report_codes.OOD, report_codes.yes_or_no(row["out_of_distribution"])),
    ]
    return [QualitativeEvaluation(name=name, value=value) for name, value in answers]


def _remarks(row: Mapping[str, Any]) -> list[str]:
    remarks = []
    if row["abstained"]:
        remarks.append(f"Needs a human reader: {row['abstained_because']}.")
    if row["out_of_distribution"]:
        remarks.append("Unlike the validation images: the probabilities may not hold for it.")
    return remarks


def _comment(text: str) -> TextContentItem:
    return TextContentItem(name=report_codes.COMMENT, value=text, relationship_type=RelationshipTypeValues.CONTAINS)
