"""Reading a data set into shards and manifest rows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from coronet_core.common.literals import Aspect
from coronet_core.common.manifest import as_table, read_manifest, read_notes, read_rows, write_manifest
from coronet_core.common.shards import Shards
from coronet_core.data.image_record import Record
from coronet_core.data.ingest import (
    Preprocessing,
    damaged_files,
    forget_rejects,
    group_oldest,
    join_headers,
    places_in_stack,
    read_images,
    write_accepted,
)
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DamagedFileError, DataError
from tests.core.test_dicom import dicom, saved
from tests.tasks.damage import Damage, every_damage, spoil

IDS = Ids("key")
PREPROCESSING = Preprocessing(image_size_px=64, aspect=Aspect.STRETCH, reading=2)


def unreadable() -> bytes:
    raise OSError(13, "Permission denied")


@pytest.fixture
def data_set() -> list[Record]:
    return phantom.records({"healthy": 4, "pneumonia": 2, "covid19": 2}, 1, 64, seed=3).records


def read(records: list[Record], folder: Path, block_images: int = 3, ids: Ids = IDS) -> pd.DataFrame:
    return read_images(records, PREPROCESSING, block_images, ids, folder / "decoded", folder / "blocks")


def test_rows_lead_to_the_pixels_of_their_image(data_set: list[Record], tmp_path: Path) -> None:
    data_set[1] = replace(data_set[1], read=unreadable)  # a gap, so that rows and records no longer go in step
    manifest = read(data_set, tmp_path).assign(split="train")
    places = places_in_stack(manifest)
    manifest.loc[5, "rejected_because"] = "duplicate"  # a gap that only the rules for duplicates make
    decoded = Shards.in_folder(tmp_path / "decoded")
    write_accepted(manifest, places, decoded, 4, tmp_path / "images")
    write_manifest(manifest, tmp_path / "manifest.parquet")
    accepted = read_manifest(tmp_path / "manifest.parquet")
    stack = Shards.in_folder(tmp_path / "images")
    assert len(stack) == len(accepted) == len(data_set) - 2
    for place, record in enumerate([data_set[0], *data_set[2:5], *data_set[6:]]):
        alone = Shards.in_folder(read_alone(record, tmp_path / record.name)).take(np.array([0]))
        np.testing.assert_array_equal(stack.take(np.array([place])), alone)
        assert accepted["image_id"][place] == IDS.image(record)


def read_alone(record: Record, folder: Path) -> Path:
    read([record], folder, 1)
    return folder / "decoded"


def test_what_cannot_be_read_is_a_row_with_its_reason(data_set: list[Record], tmp_path: Path) -> None:
    data_set[0] = replace(data_set[0], read=unreadable)
    data_set[1] = replace(data_set[1], read=lambda: b"not an image")
    rows = read(data_set, tmp_path)
    assert rows["rejected_because"].tolist()[:2] == ["cannot be opened (Permission denied)", "not an image"]
    assert rows["rejected_because"].isna().tolist() == [False, False] + [True] * 6
    assert rows["sha256"].isna().tolist() == [True, True] + [False] * 6


def test_a_block_without_readable_images_is_no_obstacle(data_set: list[Record], tmp_path: Path) -> None:
    data_set[:3] = [replace(record, read=unreadable) for record in data_set[:3]]
    rows = read(data_set, tmp_path)
    stack = Shards.in_folder(tmp_path / "decoded", may_have_gaps=True)
    assert len(stack) == rows["rejected_because"].isna().sum() == 5


def test_places_are_right_behind_a_block_without_readable_images(data_set: list[Record], tmp_path: Path) -> None:
    data_set[:3] = [replace(record, read=unreadable) for record in data_set[:3]]
    rows = read(data_set, tmp_path)
    assert places_in_stack(rows).tolist() == [-1, -1, -1, 0, 1, 2, 3, 4]


def test_blocks_that_are_finished_are_not_read_again(data_set: list[Record], tmp_path: Path) -> None:
    first = read(data_set, tmp_path)
    again = read([replace(record, read=unreadable) for record in data_set], tmp_path)
    pd.testing.assert_frame_equal(again, first)


def test_every_image_is_counted_once(data_set: list[Record], tmp_path: Path) -> None:
    counted: list[int] = []
    arguments = (data_set, PREPROCESSING, 3, IDS, tmp_path / "decoded", tmp_path / "blocks", counted.append)
    for _ in range(2):
        counted.clear()
        read_images(*arguments)
        assert sum(counted) == len(data_set)


def test_no_more_images_are_decoded_than_are_waited_for(
    data_set: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coronet_core.data.ingest.usable_cores", lambda: 1)
    started = [0]

    def counting(read: Callable[[], bytes]) -> Callable[[], bytes]:
        def count() -> bytes:
            started[0] += 1
            return read()

        return count

    ahead: list[int] = []
    done = [0]

    def on_image(n: int) -> None:
        done[0] += n
        ahead.append(started[0] - done[0])

    many = [replace(r, read=counting(r.read), name=f"{r.name}/{i}") for i in range(8) for r in data_set]
    read_images(many, PREPROCESSING, 64, IDS, tmp_path / "decoded", tmp_path / "blocks", on_image)
    assert max(ahead) <= 5


def test_patients_and_images_are_keyed_hashes(data_set: list[Record], tmp_path: Path) -> None:
    record = replace(data_set[0], name="MRN-4711.dcm", patient_id="MRN-4711", copy=2)
    row = read([record], tmp_path).iloc[0]
    assert row["patient_id"] == IDS.patient(record) != Ids("another key").patient(record)
    assert row["image_id"] == IDS.image(record)
    assert "4711" not in row["image_id"] + row["patient_id"]
    assert row["image_id"].startswith("phantom/")
    assert row["image_id"].endswith("#2")


def test_ids_are_as_given_if_that_is_asked_for(data_set: list[Record], tmp_path: Path) -> None:
    row = read(data_set[:1], tmp_path, ids=Ids("key", as_given=True)).iloc[0]
    assert (row["patient_id"], row["image_id"]) == (data_set[0].patient_id, f"phantom/{data_set[0].name}")


def test_a_missing_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no manifest\. Run the stage build_split first"):
        read_manifest(tmp_path / "manifest.parquet")


def test_a_column_that_is_not_in_the_manifest_is_an_error() -> None:
    with pytest.raises(ValueError, match="shoe_size"):
        as_table([{"shoe_size": 43}])


def test_notes_come_back_with_the_manifest(tmp_path: Path) -> None:
    write_manifest(as_table([{"patient_id": "a"}]), tmp_path / "manifest.parquet", {"split_rule": "x"})
    assert read_notes(tmp_path / "manifest.parquet") == {"split_rule": "x"}


@every_damage
def test_a_damaged_manifest_is_an_error_with_a_remedy(tmp_path: Path, damage: Damage) -> None:
    path = tmp_path / "manifest.parquet"
    write_manifest(as_table([{"patient_id": "a"}]), path, {"split_rule": "x"})
    spoil(path, damage)
    for reading in (read_notes, read_rows, read_manifest):
        with pytest.raises(DamagedFileError, match=r"parquet: damaged: .*Delete it and run `dvc checkout"):
            reading(path)


def test_only_the_block_of_a_changed_image_is_read_again(data_set: list[Record], tmp_path: Path) -> None:
    read(data_set, tmp_path)
    changed = [replace(record, read=unreadable) for record in data_set]
    changed[4] = replace(changed[4], version="repaired", read=data_set[4].read)
    rows = read(changed, tmp_path)
    assert rows["rejected_because"].notna().tolist() == [False, False, False, True, False, True, False, False]
    assert places_in_stack(rows).max() == len(Shards.in_folder(tmp_path / "decoded")) - 1


def test_blocks_that_are_no_longer_needed_are_deleted(data_set: list[Record], tmp_path: Path) -> None:
    read(data_set, tmp_path)
    rows = read(data_set[:4], tmp_path)
    assert len(rows) == len(Shards.in_folder(tmp_path / "decoded")) == 4


def test_blocks_with_rejects_can_be_forgotten(data_set: list[Record], tmp_path: Path) -> None:
    faulty = [replace(data_set[0], read=unreadable), *data_set[1:]]
    read(faulty, tmp_path)
    forget_rejects(tmp_path / "decoded", tmp_path / "blocks")
    repaired = [data_set[0], *(replace(record, read=unreadable) for record in data_set[1:])]
    rows = read(repaired, tmp_path)
    assert rows["rejected_because"].isna().tolist() == [True, False, False, True, True, True, True, True]


@every_damage
@pytest.mark.parametrize("file", ["decoded/shard-00001.npy", "blocks/00001-*.rows"])
def test_a_damaged_block_is_found_and_the_others_are_not_read_again(
    data_set: list[Record], tmp_path: Path, file: str, damage: Damage
) -> None:
    first = read(data_set, tmp_path)
    images, blocks = tmp_path / "decoded", tmp_path / "blocks"
    assert damaged_files(images, blocks) == []
    (damaged,) = tmp_path.glob(file)
    spoil(damaged, damage)
    assert damaged_files(images, blocks) == [damaged]
    damaged.unlink()
    others_cannot_be_read = [one if i in {3, 4, 5} else replace(one, read=unreadable) for i, one in enumerate(data_set)]
    again = read(others_cannot_be_read, tmp_path)
    pd.testing.assert_frame_equal(again, first)
    assert damaged_files(images, blocks) == []


def test_a_dicom_header_tells_the_patient_whom_the_source_does_not_know(tmp_path: Path) -> None:
    pixels = phantom.draw(1, "healthy", "p", 0, 96)[0]
    record = Record(source="s", name="a", patient_id=None, label="healthy", read=lambda: b"", version="")
    one, again, other = (
        replace(record, name=name, read=partial(bytes, saved(dicom(pixels, PatientID=patient))))
        for name, patient in (("a", "MRN-1"), ("b", "MRN-1"), ("c", "MRN-2"))
    )
    known = replace(other, name="d", patient_id="anna")
    for ids in (IDS, Ids("key", as_given=True)):
        patients = read([one, again, other, known], tmp_path / str(ids.as_given), ids=ids)["patient_id"].tolist()
        assert patients[0] == patients[1]
        assert len(set(patients)) == 3
        assert not any("MRN" in patient for patient in patients)
    assert patients[3] == "anna"


@pytest.mark.parametrize("as_given", [True, False])
def test_a_patient_of_a_table_and_of_a_header_is_one(tmp_path: Path, as_given: bool) -> None:  # noqa: FBT001  # a case
    pixels = phantom.draw(1, "healthy", "p", 0, 96)[0]
    record = Record(source="s", name="a", patient_id="MRN-1", label="healthy", read=lambda: b"", version="")
    in_table, in_header, in_both, only_in_header = (
        replace(record, name=name, patient_id=given, read=partial(bytes, saved(dicom(pixels, PatientID=patient))))
        for name, given, patient in (
            ("a", "MRN-1", "another"),
            ("b", None, " MRN-1 "),
            ("c", "MRN-1", "MRN-1"),
            ("d", None, "MRN-2"),
        )
    )
    records, ids = [in_table, in_header, in_both, only_in_header], Ids("key", as_given=as_given)
    rows = read(records, tmp_path, ids=ids)
    join_headers(rows, records, ids)
    assert rows["patient_id"].tolist()[:3] == [ids.patient(in_table)] * 3
    assert rows["patient_id"][3] == ids.patient(only_in_header, "MRN-2") != "MRN-2"
    assert rows["patient_id_from"].tolist() == ["table", "header", "table", "header"]


def test_ids_that_differ_in_leading_zeros_are_known_whoever_gives_them(tmp_path: Path) -> None:
    pixels = phantom.draw(1, "healthy", "p", 0, 96)[0]
    record = Record(source="s", name="a", patient_id=None, label="healthy", read=lambda: b"", version="")
    numbers = ("7", "007", "70", "ANONYMOUS", "anon")
    records = [
        replace(record, name=one, read=partial(bytes, saved(dicom(pixels, PatientID=one)))) for one in numbers
    ] + [replace(record, name="f", patient_id="0007")]
    rows = read(records, tmp_path)
    assert rows["patient_id"].nunique() == 6
    zeroless = rows["patient_id_zeroless"]
    assert zeroless[0] == zeroless[1] == zeroless[5] != zeroless[2]
    assert zeroless[3:5].isna().all()


@pytest.mark.parametrize(
    ("oldest", "ages"), [(89, [58.0, 89.0, 90.0, 90.0, None]), (None, [58.0, 89.0, 89.5, 104.0, None])]
)
def test_the_oldest_are_of_one_age(oldest: int | None, ages: list[float | None]) -> None:
    rows = as_table([{"age": age} for age in (58.0, 89.0, 89.5, 104.0, None)])
    group_oldest(rows, oldest)
    assert rows["age"].astype(object).where(rows["age"].notna(), None).tolist() == ages


def test_the_header_tells_view_sex_and_age_in_the_vocabulary_of_all_sources(tmp_path: Path) -> None:
    pixels = phantom.draw(1, "healthy", "p", 0, 96)[0]
    content = saved(dicom(pixels, ViewPosition="antero-posterior", PatientSex="female", PatientAge="058Y"))
    free_text = saved(dicom(pixels, ViewPosition="DOE, JANE", PatientSex="see letter", PatientAge="414Y"))
    record = Record(source="s", name="a", patient_id=None, label="healthy", read=lambda: content, version="")
    rows = read([record, replace(record, name="b", read=lambda: free_text)], tmp_path)
    assert rows[["view", "sex", "age"]].iloc[0].tolist() == ["AP", "F", 58.0]
    assert rows[["view", "sex", "age"]].iloc[1].isna().all()


def test_a_manifest_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Before it told who names the patients."""
    path = tmp_path / "manifest.parquet"
    write_manifest(as_table([{"patient_id": "a", "split": "train"}]), path, {"split_rule": "x"})
    table = pq.read_table(path).drop_columns(["patient_id_from", "patient_id_zeroless"])
    pq.write_table(table, path)
    rows = read_rows(path)
    assert rows["patient_id"].tolist() == ["a"]
    assert rows["patient_id_from"].isna().all()
