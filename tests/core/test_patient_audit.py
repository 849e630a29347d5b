"""Doubtful ids of patients."""

from collections.abc import Iterable

import pandas as pd

from coronet_core.common.manifest import as_table
from coronet_core.data.patients.patient_audit import doubtful_ids, doubtful_patients, patient_warnings


def manifest(patients: Iterable[str], zeroless: dict[str, str] | None = None, origin: str = "table") -> pd.DataFrame:
    known = zeroless or {}
    return as_table(
        [{"patient_id": one, "patient_id_zeroless": known.get(one, one), "patient_id_from": origin} for one in patients]
    )


def test_a_patient_of_an_unlikely_share_of_the_images_is_named() -> None:
    patients = ["TEST"] * 10 + [f"p{i // 2}" for i in range(60)]
    found = doubtful_patients(manifest(patients))
    assert found["unlikely"] == []  # just five times the median patient
    found = doubtful_patients(manifest(["TEST", *patients]))
    assert found["unlikely"] == [{"patient_id": "TEST", "images": 11}]
    (warning,) = patient_warnings(found, 71)
    assert warning.startswith("Patient TEST has 11 of 71 images (15%): probably not a person")
    assert doubtful_ids(found) == ["TEST"]


def test_several_such_patients_are_all_named() -> None:
    found = doubtful_patients(manifest([*["TEST"] * 30, *["DEMO"] * 20, *map(str, range(50))]))
    assert [one["patient_id"] for one in found["unlikely"]] == ["TEST", "DEMO"]


def test_sound_sets_are_not_warned_of() -> None:
    few_patients = [f"p{i % 5}" for i in range(60)]
    a_long_history = [*["ill"] * 9, *map(str, range(20))]
    large = [*["ill"] * 60, *map(str, range(6000))]
    for patients in (few_patients, a_long_history, large):
        assert patient_warnings(doubtful_patients(manifest(patients)), len(patients)) == []


def test_ids_that_differ_in_leading_zeros_alone_are_named() -> None:
    found = doubtful_patients(manifest(["a", "b", "b", "c"], {"a": "7", "b": "7", "c": "8"}))
    assert found["leading_zeros"] == [["a", "b"]]
    (warning,) = patient_warnings(found, 4)
    assert "differ only in leading zeros or capital letters count as different patients: a and b." in warning
    assert doubtful_ids(found) == ["a", "b"]


def test_images_without_an_id_are_counted() -> None:
    found = doubtful_patients(pd.concat([manifest("ab", origin="placeholder"), manifest("c", origin="none")]))
    assert found["from"] == {"placeholder": 2, "none": 1}
    first, second = patient_warnings(found, 3)
    assert first.startswith("A placeholder such as 0 or ANONYMOUS instead of a patient id in 2 of 3 images: each")
    assert second.startswith("No patient id in 1 of 3 images: each")
