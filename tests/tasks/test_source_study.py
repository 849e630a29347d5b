"""Patient, study and image of a DICOM file: what is copied, and what makes a report impossible."""

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest

from coronet_core.support.errors import DataError
from tasks.inference.dicom_report.source_study import COPIED, IDENTIFIERS, source_of
from tests.core.dicom_studies import IDENTIFYING, STUDY, study_file

pytestmark = pytest.mark.filterwarnings(
    "ignore:Unknown encoding", "ignore:Expected explicit VR"
)  # of the tests' own calls
TEST_FILES = sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm"))
"""Real and broken files of many machines, as they come with pydicom."""


def test_patient_study_and_image_are_those_of_the_file() -> None:
    source = source_of(study_file())
    for keyword, value in (STUDY | IDENTIFYING).items():
        if keyword != "Modality":
            assert source.get(keyword) == value, keyword


@pytest.mark.parametrize("keyword", IDENTIFIERS)
@pytest.mark.parametrize("value", [None, "", "1.2.03", "no uid", "1" * 65])
def test_an_image_that_names_no_study_has_no_report(keyword: str, value: str | None) -> None:
    with pytest.raises(DataError, match=f"^no report: {keyword} missing or malformed.*Export the image"):
        source_of(study_file(**{keyword: value}))


def test_all_missing_identifiers_are_said_at_once() -> None:
    with pytest.raises(DataError, match="StudyInstanceUID, SeriesInstanceUID missing"):
        source_of(study_file(StudyInstanceUID=None, SeriesInstanceUID=None))


@pytest.mark.parametrize("kind", [pydicom.uid.BasicTextSRStorage, "1.2.840.10008.1.1", "1.2.840.10008.5.1.1.29"])
def test_a_class_that_is_none_of_images_has_no_report(kind: str) -> None:
    with pytest.raises(DataError, match="its SOP class is not one of images"):
        source_of(study_file(SOPClassUID=kind))


@pytest.mark.parametrize("content", [b"", b"not DICOM", b"\x89PNG\r\n\x1a\n" + bytes(300)])
def test_other_files_are_not_dicom(content: bytes) -> None:
    with pytest.raises(DataError, match=r"^not DICOM$"):
        source_of(content)


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 192", "Νικολάου^Ελένη"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("NONSENSE", "Doe^John"),  # nothing of it is needed
        (None, ""),  # de-identified
    ],
)
def test_names_in_any_stated_character_set_are_copied(character_set: Any, name: str) -> None:
    source = source_of(study_file(SpecificCharacterSet=character_set, PatientName=name))
    assert str(source.get("PatientName", "")) == name


@pytest.mark.parametrize(
    ("keyword", "value", "character_set"),
    [
        ("PatientName", b"M\xfcller^J", None),  # Latin 1, and nothing says so
        ("PatientName", b"M\xfcller^J", "ISO_IR 192"),  # no UTF-8
        ("PatientName", b"M\xfcller^J", "NONSENSE"),
        ("PatientID", b"\xfc-77", None),
        ("PatientID", b"A\\B", None),  # two ids
        ("PatientID", b"x" * 65, None),
        ("PatientName", b"Doe\x1b[2J^Jane", None),  # would move a terminal's cursor
    ],
)
def test_a_patient_who_cannot_be_copied_exactly_is_not_copied_at_all(
    keyword: str, value: bytes, character_set: str | None
) -> None:
    content = with_bytes(keyword, value, character_set)
    with pytest.raises(DataError, match=f"^no report: {keyword} is too long or not valid") as error:
        source_of(content)
    assert "ller" not in str(error.value)


def with_bytes(keyword: str, value: bytes, character_set: str | None) -> bytes:
    """Return a file whose element has these bytes, whatever they are."""
    placeholder = "P" * (len(value) + len(value) % 2)
    content = study_file(**{keyword: placeholder, "SpecificCharacterSet": character_set})
    assert content.count(placeholder.encode()) == 1
    return content.replace(placeholder.encode(), value.ljust(len(placeholder)))


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientBirthDate", "unknown"), ("StudyTime", "at noon"), ("PatientAge", "old")]
)
def test_an_optional_value_that_breaks_its_type_is_left_out(keyword: str, value: str) -> None:
    with pydicom.config.disable_value_validation():
        content = study_file(**{keyword: value})
    assert value.encode() in content
    source = source_of(content)
    assert keyword not in source
    assert source.PatientID == IDENTIFYING["PatientID"]


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.name)
def test_files_of_many_machines_have_a_study_or_a_reason(path: Path) -> None:
    content = path.read_bytes()
    try:
        source = source_of(content)
    except DataError as error:
        assert str(error).startswith(("no report: ", "not DICOM", "truncated or damaged DICOM"))  # noqa: PT017
        return
    header = pydicom.dcmread(io.BytesIO(content), force=True)
    for keyword in IDENTIFIERS:
        assert source.get(keyword) == header.get(keyword)
    for keyword in COPIED:
        if keyword in source:
            assert source.get(keyword) == header.get(keyword), keyword


def test_most_files_of_many_machines_have_a_study() -> None:
    def has_study(path: Path) -> bool:
        try:
            source_of(path.read_bytes())
        except DataError:
            return False
        return True

    assert sum(map(has_study, TEST_FILES)) > len(TEST_FILES) / 2
