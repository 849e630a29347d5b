"""Answers in DICOM: the report and the map of one DICOM file, and files that have none."""

import io
import re
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from highdicom.sr import srread

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.inference.dicom_report.report_file_names import OURS
from tests.core.dicom_studies import IDENTIFYING, STUDY, study_file
from tests.core.test_dicom import PIXELS
from tests.serving.served import dicom, form, png, problem, running

MAP = "/explain?method=grad_cam&label=covid19&format=dicom"


def received(response: httpx.Response) -> pydicom.Dataset:
    """The DICOM object of a response."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/dicom"
    return pydicom.dcmread(io.BytesIO(response.content))


def report_on(client: httpx.Client, content: bytes) -> Any:
    response = client.post("/report", files=form(content, name="Doe_Jane.dcm"))
    received(response)
    return srread(io.BytesIO(response.content))


def test_a_report_has_the_figures_of_predict(client: httpx.Client) -> None:
    (answer,) = client.post("/predict", files=form(study_file())).json()["answers"]
    report = report_on(client, study_file())
    (group,) = report.content.get_image_measurement_groups()
    figures = {one.name.meaning: one.value for one in group.get_measurements()}
    for label in CLASSES:
        expected = pytest.approx(answer["probabilities"][label], rel=1e-6)
        assert figures[f"Calibrated probability of {DISPLAY_NAMES[label]}"] == expected
    assert figures["Out-of-distribution score"] == pytest.approx(answer["ood_score"], rel=1e-6)
    answers = [(one.name.meaning, one.value.meaning) for one in group.get_qualitative_evaluations()]
    assert ("Out of distribution", "Yes" if answer["out_of_distribution"] else "No") in answers
    assert ("Needs a human reader", "Yes" if answer["abstained"] else "No") in answers
    held = [value for name, value in answers if name == "Class that cannot be ruled out"]
    assert held == [DISPLAY_NAMES[label] for label in answer["prediction_set"]]


def test_a_report_belongs_to_the_patients_study(client: httpx.Client) -> None:
    report = report_on(client, study_file())
    assert report.StudyInstanceUID == STUDY["StudyInstanceUID"]
    assert report.PatientName == IDENTIFYING["PatientName"]
    assert report.DeviceSerialNumber == client.get("/model").json()["digest"]


def test_the_name_of_the_file_says_what_it_is_and_nothing_of_the_patient(client: httpx.Client) -> None:
    for route, kind in (("/report", "SR"), (MAP, "SC")):
        response = client.post(route, files=form(study_file(), name="Doe_Jane.dcm"))
        (name,) = re.findall(r'^attachment; filename="(.+)"$', response.headers["content-disposition"])
        assert name == f"{kind}.{received(response).SOPInstanceUID}.dcm"
        assert OURS.fullmatch(name)


def test_the_same_file_gives_the_same_object(client: httpx.Client) -> None:
    first, again = (report_on(client, study_file()) for _ in range(2))
    assert first.SOPInstanceUID == again.SOPInstanceUID
    assert report_on(client, study_file(PIXELS[:, ::-1])).SOPInstanceUID != first.SOPInstanceUID


def test_a_map_is_an_image_of_the_study_for_the_class_asked_for(client: httpx.Client) -> None:
    capture = received(client.post(MAP, files=form(study_file())))
    (answer,) = client.post("/predict", files=form(study_file())).json()["answers"]
    assert capture.SOPClassUID == pydicom.uid.SecondaryCaptureImageStorage
    assert capture.StudyInstanceUID == STUDY["StudyInstanceUID"]
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == STUDY["SOPInstanceUID"]
    assert capture.DerivationDescription.startswith(f"Grad-CAM for COVID-19 ({answer['probabilities']['covid19']:.1%})")
    assert np.ptp(capture.pixel_array[:1024].astype(int), axis=-1).max() > 50


@pytest.mark.parametrize("route", ["/report", MAP])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (png(), "Only a DICOM file has an answer in DICOM"),
        (b"", "Only a DICOM file has an answer in DICOM"),
        (dicom(), "StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID, SOPClassUID missing or malformed"),
        (study_file(np.stack([PIXELS] * 2)[..., 0], NumberOfFrames=2), r"multi-frame \(2 frames\)"),
        (study_file(0 * PIXELS), "zero variance"),
        (study_file()[:-2000], "truncated or damaged DICOM"),
    ],
)
def test_a_file_without_a_report_is_a_problem_that_says_why(
    client: httpx.Client, route: str, content: bytes, said: str
) -> None:
    detail = problem(client.post(route, files=form(content)), 422)
    assert re.search(said, detail)
    for secret in IDENTIFYING.values():
        assert secret not in detail


def test_one_file_is_taken_at_a_time(client: httpx.Client) -> None:
    problem(client.post("/report", files=form(study_file(), study_file())), 413)


def test_the_patient_is_in_no_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with running() as address:
        assert httpx.post(f"{address}/report", files=form(study_file(), name="Doe_Jane.dcm"), timeout=60).is_success
    printed = capsys.readouterr()
    assert "/report" in printed.out
    for secret in (*IDENTIFYING.values(), "Doe"):
        assert secret not in printed.out + printed.err


@pytest.mark.parametrize("path", ["/report", MAP, "/preview", "/explain?format=png", "/residuals?format=png"])
def test_answers_that_are_not_json_name_the_model_in_a_header_as_described(client: httpx.Client, path: str) -> None:
    response = client.post(path, files=form(study_file()))
    assert response.headers["x-model"] == client.get("/model").json()["digest"]
    described = client.get("/openapi.json").json()["paths"][path.partition("?")[0]]["post"]["responses"]["200"]
    assert list(described["headers"]) == ["X-Model"]


def test_reports_are_described(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    assert list(described["/report"]["post"]["responses"]["200"]["content"]) == ["application/dicom"]
    assert set(described["/explain"]["post"]["responses"]["200"]["content"]) == {
        "application/json",
        "image/png",
        "application/dicom",
    }
