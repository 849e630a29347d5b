"""Ids of patients: what is none, what is the same, what stays apart."""

import pytest

from coronet_core.data.image_record import Record
from coronet_core.data.patients.patient_ids import normalised, of_column, without_leading_zeros
from coronet_core.data.patients.pseudonyms import Ids


@pytest.mark.parametrize(
    "text",
    [
        None, "", " ", "\0\0", "-", "?", "--", "...", "0", "00000", "0.0", "-1", "-999", "nan", "NaN", "None", "NULL",
        "n/a", "N.A.", "#N/A", "nil", "unknown", "UNK", "Unbekannt", "ANONYMOUS", "anonymous^^^",
        "Anonymous^Anonymous", "anon", "Anonymized", "DE-IDENTIFIED", "anónimo", "xxx", "XXXXXX", "no id", "No_ID",
        "Unknown Patient", "patient unknown", "removed",
        "cohen-", "cohen-nan", "nih-unknown", "patient_None", "nih-chest-", "covid19-radiography-nan", "<none>",
        "covid19-", "covid19-N/A", "cohen-N/A", "A1-NaT", "S1-", "COVID19/", "#REF!", "#DIV/0!", r"\N",
    ],
)  # fmt: skip
def test_blanks_and_placeholders_are_no_id(text: str | None) -> None:
    assert normalised(text) is None


@pytest.mark.parametrize(
    "text",
    ["7", "007", "A", "X", "NN-1", "anon-7", "anonymous12", "cohen-8", "cohen-0", "nih-00001280", "P000", "10023-NA",
     "phantom-healthy-0000", "Nana", "Li Nan", "Unknowna", "xx", "7.0", "Normal-3437", "患者7"],
)  # fmt: skip
def test_other_ids_stay_as_they_are(text: str) -> None:
    assert normalised(text) == text


def test_padding_and_the_form_of_letters_do_not_matter() -> None:
    assert normalised(" MRN-1 \0") == normalised("\ufeffMRN-1\u00a0") == "MRN-1"
    assert normalised("Roe^Ann^^ ") == "Roe^Ann"
    assert normalised("Mu\u0308ller") == normalised("M\u00fcller") == "M\u00fcller"


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        (["7", "7.0", " 7", "12.00", "7,0"], ["7", "7", "7", "12", "7"]),
        (["7.0", "", "nan", "8"], ["7", None, None, "8"]),
        (["007", "7.0"], ["007", "7"]),
        (["7", "7.0", "P7"], ["7", "7", "P7"]),
        (["1.5", "7.0"], ["1.5", "7.0"]),
        ([], []),
    ],
)
def test_in_a_column_of_numbers_7_0_is_7(column: list[str], ids: list[str | None]) -> None:
    assert of_column(column) == ids


@pytest.mark.parametrize(
    ("column", "ids"),
    [
        (["0", "1", "2", "0", "1", "2"], ["0", "1", "2", "0", "1", "2"]),
        (["0.0", "1.0"], ["0", "1"]),
        (["000", "001", "000"], ["000", "001", "000"]),
        (["0", "7", "8"], [None, "7", "8"]),
        (["0", "0", "0", "0", "1", "2"], [None, None, None, None, "1", "2"]),
        (["0000", "1", "2"], [None, "1", "2"]),
    ],
)
def test_zeros_are_an_id_only_where_a_column_counts_from_them(column: list[str], ids: list[str | None]) -> None:
    """One too few here, and images of the patient 0 would be in two splits."""
    assert of_column(column) == ids


def test_ids_without_leading_zeros_are_compared_number_by_number() -> None:
    assert without_leading_zeros("007") == without_leading_zeros("7") == "7"
    assert without_leading_zeros("P07-010") == without_leading_zeros("P7-10")
    assert len({without_leading_zeros(one) for one in ("7", "70", "700", "0", "107")}) == 5


def record(patient_id: str | None) -> Record:
    name = "xray/healthy/a.png"
    return Record(source="xray", name=name, patient_id=patient_id, label="healthy", read=bytes, version="1")


@pytest.mark.parametrize(
    ("given", "in_header", "expected"),
    [
        ("cohen-8", None, "dcbc4dde4a7f90d3"),
        ("nih-00001280", None, "7497095e130cdb68"),
        ("INV-000", None, "1d5975b36d4da8b9"),
        ("7", None, "bc82919e65f26c1e"),
        ("P001healthy", "MRN-1", "e69c0961f8b7d4da"),
        ("phantom-healthy-0000", None, "02bf6eb108f1d123"),
        ("rsna-0004cfab-14fd-4e49-80ba-63a80b6bddd6", None, "baa35718d96a29f2"),
        ("M\u00fcller 12", None, "3408e8aaa0b9b38f"),
        (None, "MRN-1", "a289585e2cc6107a"),
        (None, "INV-000", "1eb11ef6dc3453de"),
        (None, "0012345", "f43b907322acd306"),
        (None, None, "5b43b331ab256d52"),
    ],
)
def test_patients_who_were_right_have_the_hashes_that_they_had(
    given: str | None, in_header: str | None, expected: str
) -> None:
    """Computed by the code before there was a normaliser (commit f3b3678): splits that exist know patients by them."""
    assert Ids("coronet").patient(record(given), in_header) == expected


def test_an_image_has_the_hash_that_it_had() -> None:
    assert Ids("coronet").image(record(None)) == "xray/35c4d6a7daf0a4d5"


@pytest.mark.parametrize(
    ("given", "in_header", "origin"),
    [("7", "8", "table"), (None, " 8 ", "header"), (None, "ANONYMOUS", "placeholder"), (None, " ", "none")],
)
def test_the_manifest_tells_who_names_a_patient(given: str | None, in_header: str | None, origin: str) -> None:
    assert Ids("key").patient_columns(record(given), in_header)["patient_id_from"] == origin


def test_whom_only_a_placeholder_names_is_a_patient_of_its_own() -> None:
    alone = Ids("key").patient(record(None))
    assert Ids("key").patient(record(None), "ANONYMOUS") == alone
    assert Ids("key").patient_columns(record(None), "ANONYMOUS")["patient_id_zeroless"] is None
