"""The structured report of a prediction: what it says, of whom, and that other programs read it."""

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
import torch
from highdicom.sr import ComprehensiveSR, srread

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.inference.dicom_report import result_object
from tasks.inference.dicom_report.source_study import source_of
from tasks.inference.dicom_report.structured_report import report_uid, structured_report
from tasks.inference.input.image_file import FileContent
from tasks.inference.predictor import predict_files
from tests.core.dicom_studies import IDENTIFYING, STUDY, study_file
from tests.tasks.dicom_tools import dumped_report, faults
from tests.tasks.trained_model import untrained_model

MODEL = "d" * 64


@pytest.fixture(scope="module")
def row() -> dict[str, Any]:
    """The row that an untrained model predicts for the study's X-ray."""
    torch.manual_seed(0)
    files = [FileContent("chest.dcm", study_file())]
    (predicted,) = predict_files(files, untrained_model(), torch.device("cpu")).to_pylist()
    assert predicted["error"] is None
    return dict(predicted)


def written(row: dict[str, Any], model: str = MODEL, content: bytes | None = None) -> ComprehensiveSR:
    """The report on a row, written and read."""
    return srread(io.BytesIO(structured_report(source_of(content or study_file()), row, model)))


def figures(report: ComprehensiveSR) -> dict[str, float]:
    (group,) = report.content.get_image_measurement_groups()
    return {measurement.name.meaning: measurement.value for measurement in group.get_measurements()}


def answers(report: ComprehensiveSR, name: str) -> list[str]:
    (group,) = report.content.get_image_measurement_groups()
    return [one.value.meaning for one in group.get_qualitative_evaluations() if one.name.meaning == name]


def text(report: ComprehensiveSR) -> str:
    """All text of the report's content."""
    return "\n".join(str(element.value) for element in report.iterall() if element.keyword == "TextValue")


def test_figures_are_those_of_the_prediction_to_the_last_bit(row: dict[str, Any]) -> None:
    expected = {f"Calibrated probability of {DISPLAY_NAMES[label]}": row[f"calibrated_{label}"] for label in CLASSES}
    assert figures(written(row)) == expected | {"Out-of-distribution score": row["ood_score"]}


def test_the_prediction_set_is_that_of_the_prediction(row: dict[str, Any]) -> None:
    report = written(row)
    assert answers(report, "Most probable class") == [DISPLAY_NAMES[row["predicted"]]]
    assert answers(report, "Class that cannot be ruled out") == [DISPLAY_NAMES[one] for one in row["prediction_set"]]


@pytest.mark.parametrize(("is_far", "said"), [(True, "Yes"), (False, "No")])
def test_an_image_out_of_distribution_is_said_so(row: dict[str, Any], is_far: bool, said: str) -> None:  # noqa: FBT001
    report = written(row | {"out_of_distribution": is_far})
    assert answers(report, "Out of distribution") == [said]
    assert ("Unlike the validation images" in text(report)) == is_far


@pytest.mark.parametrize(
    ("prediction_set", "reason"),
    [([], "no class is probable enough"), (["healthy", "covid19"], "cannot tell Healthy and COVID-19 apart")],
)
def test_an_abstention_is_said_with_its_reason(row: dict[str, Any], prediction_set: list[str], reason: str) -> None:
    report = written(row | {"abstained": True, "abstained_because": reason, "prediction_set": prediction_set})
    assert answers(report, "Needs a human reader") == ["Yes"]
    assert f"Needs a human reader: {reason}." in text(report)
    assert len(answers(report, "Class that cannot be ruled out")) == len(prediction_set)


def test_one_class_left_needs_no_reader(row: dict[str, Any]) -> None:
    report = written(row | {"abstained": False, "abstained_because": None, "prediction_set": ["covid19"]})
    assert answers(report, "Needs a human reader") == ["No"]
    assert "Needs a human reader:" not in text(report)


def test_a_score_beyond_numbers_is_left_out_and_several_networks_differ(row: dict[str, Any]) -> None:
    found = figures(written(row | {"ood_score": float("inf"), "disagreement": 0.25}))
    assert "Out-of-distribution score" not in found
    assert found["Disagreement of the networks in nats"] == 0.25


def test_patient_and_study_are_those_of_the_image_in_a_series_of_its_own(row: dict[str, Any]) -> None:
    report = written(row)
    of_image = ("Modality", "SeriesInstanceUID", "SOPInstanceUID", "PatientOrientation")
    for keyword, value in (STUDY | IDENTIFYING).items():
        if keyword not in of_image:
            assert report[keyword].value == value, keyword
    assert report.SeriesInstanceUID != STUDY["SeriesInstanceUID"]
    assert report.Modality == "SR"


def test_names_in_other_alphabets_are_the_patients(row: dict[str, Any]) -> None:
    content = study_file(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう"
    )
    assert str(written(row, content=content).PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"


def test_what_the_image_does_not_say_of_the_patient_is_empty(row: dict[str, Any]) -> None:
    bare = study_file(PatientName="", PatientID="", PatientBirthDate=None, PatientSex=None, StudyDate=None)
    report = written(row, content=bare)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"):
        assert not report[keyword].value, keyword


def test_a_study_without_names_gets_a_report_that_says_so(row: dict[str, Any]) -> None:
    methods = ["names removed", "dates shifted"]
    report = written(row, content=study_file(PatientIdentityRemoved="YES", DeidentificationMethod=methods))
    assert (report.PatientIdentityRemoved, report.DeidentificationMethod) == ("YES", methods)


def test_the_image_is_the_evidence(row: dict[str, Any]) -> None:
    report = written(row)
    (evidence,) = report.get_evidence()
    assert evidence[:3] == (STUDY["StudyInstanceUID"], STUDY["SeriesInstanceUID"], STUDY["SOPInstanceUID"])
    (group,) = report.content.get_image_measurement_groups()
    (source,) = group.source_images
    assert source.referenced_sop_instance_uid == STUDY["SOPInstanceUID"]


def test_model_and_purpose_are_said(row: dict[str, Any]) -> None:
    report = written(row)
    assert report.DeviceSerialNumber == MODEL
    assert report.ContentQualification == "RESEARCH"
    assert "research" in report.SeriesDescription
    assert f"model digest {MODEL}" in text(report)
    assert "Research software, not a medical device." in text(report)
    assert (report.CompletionFlag, report.PreliminaryFlag) == ("COMPLETE", "PRELIMINARY")
    assert report.VerificationFlag == "UNVERIFIED"


def test_diseases_are_no_codes_that_a_search_for_patients_finds(row: dict[str, Any]) -> None:
    (group,) = written(row).content.get_image_measurement_groups()
    classes = [one for one in group.get_qualitative_evaluations() if one.name.meaning == "Most probable class"]
    assert {one.value.scheme_designator for one in classes} == {"99CORONET"}
    assert group.finding_type is None


def test_the_same_image_and_model_give_the_same_report(row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first, again = written(row), written(row)
    assert first.SOPInstanceUID == again.SOPInstanceUID == report_uid(source_of(study_file()), row["sha256"], MODEL)
    others = [written(row, "e" * 64), written(row | {"sha256": "f" * 64})]
    monkeypatch.setattr(result_object, "_code", lambda: "other code")
    others.append(written(row))
    assert len({one.SOPInstanceUID for one in (first, *others)}) == 4
    assert all(pydicom.uid.UID(one.SOPInstanceUID).is_valid for one in (first, *others))


def test_reports_on_one_study_by_one_model_are_a_series(row: dict[str, Any]) -> None:
    first, second = written(row), written(row | {"sha256": "f" * 64})
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    elsewhere = written(row, content=study_file(StudyInstanceUID="1.2.826.0.1.99"))
    assert elsewhere.SeriesInstanceUID != first.SeriesInstanceUID
    assert written(row, "e" * 64).SeriesInstanceUID != first.SeriesInstanceUID


def test_dcmtk_reads_the_report(row: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(structured_report(source_of(study_file()), row, MODEL))
    dumped = dumped_report(path)
    assert "Doe^Jane (F, 1950-01-02, #MRN-12345)" in dumped
    assert "Calibrated probability of COVID-19" in dumped
    assert "Research software, not a medical device." in dumped


def test_the_report_is_what_its_sop_class_demands(row: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(structured_report(source_of(study_file()), row, MODEL))
    assert faults(path) == []
