"""Published splits and the patients whom they leak."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from coronet_core.common.literals import Leaks
from coronet_core.common.manifest import as_table
from coronet_core.data.image_record import Record
from coronet_core.data.splitting.published_splits import LEAK, leaks_by_class, read_ids, treat_leaks, with_test_patients
from coronet_core.support.errors import DataError


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


def test_published_patients_whom_no_source_has_are_an_error() -> None:
    records = [Record(source="s", name="1", patient_id="cohen-8", label="healthy", read=bytes, version="")]
    with pytest.raises(DataError, match=r"2 of the published .* such as 31, 8\. Name patients as the sources do"):
        with_test_patients(records, ["8", "31"], {"1"})


def test_ids_are_read_from_text_and_from_arrays_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a\nb\n")
    np.save(tmp_path / "ids.npy", np.array(["a", "b"]))
    np.save(tmp_path / "pickled.npy", np.array(["a", None], dtype=object), allow_pickle=True)
    assert read_ids(tmp_path / "ids.txt") == read_ids(tmp_path / "ids.npy") == {"a", "b"}
    with pytest.raises(DataError, match="not a list of image ids"):
        read_ids(tmp_path / "pickled.npy")
