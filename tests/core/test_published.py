"""Published splits and the patients whom they leak."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coronet_core.data.manifest import as_table
from coronet_core.data.published import LEAK, Leaks, leaks_by_class, read_ids, treat_leaks, with_test_patients
from coronet_core.data.record import Record
from coronet_core.errors import DataError


def image(patient: str, part: str, **columns: Any) -> dict[str, Any]:
    return {"patient_group": patient, "published_part": part, "label": "healthy"} | columns


@pytest.fixture
def leaky() -> pd.DataFrame:
    return as_table(
        [
            image("anna", "train"),
            image("anna", "test"),
            image("berta", "train", label="pneumonia"),
            image("berta", "test"),
            image("carla", "train"),
            image("dora", "test"),
            image("dora", "train", rejected_because="empty file"),
        ]
    )


def test_leaks_are_named_by_class(leaky: pd.DataFrame) -> None:
    assert leaks_by_class(leaky) == {"healthy": ["anna"], "pneumonia": [], "covid19": []}


def test_refusing_names_the_patients_and_the_remedies(leaky: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"2 patients both in .* \(anna, berta\)\. Set data\.split\.leaks to repair"):
        treat_leaks(leaky, Leaks.REFUSE)


def test_repairing_takes_them_out_of_the_training_part_alone(leaky: pd.DataFrame) -> None:
    treat_leaks(leaky, Leaks.REPAIR)
    assert leaky["rejected_because"].fillna("-").tolist() == [LEAK, "-", LEAK, "-", "-", "-", "empty file"]
    treat_leaks(leaky, Leaks.REFUSE)


def test_keeping_changes_nothing(leaky: pd.DataFrame) -> None:
    before = leaky.copy()
    treat_leaks(leaky, Leaks.KEEP)
    pd.testing.assert_frame_equal(leaky, before)


def test_published_test_patients_and_images_make_the_test_part() -> None:
    records = [
        Record(source="s", name=name, patient_id=patient, label="healthy", read=bytes, version="")
        for name, patient in (("1", "anna"), ("2", "anna"), ("3", "berta"), ("4", "carla"))
    ]
    parts = [record.published_part for record in with_test_patients(records, ["anna"], {"3"})]
    assert parts == ["test", "test", "test", "train"]


def test_a_missing_list_of_ids_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no such list of image ids\. Put it there, or correct data\.split\.test_images"
    ):
        read_ids(tmp_path / "gone.txt")
