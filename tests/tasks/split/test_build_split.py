"""The stage `build_split` on files: what it keeps, what it leaves out, what it never writes."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES, FoldUnit
from coronet_core.common.literals import Aspect, Leaks, Reading
from coronet_core.common.manifest import read_manifest, read_rows
from coronet_core.common.shards import Shards
from coronet_core.data.image_record import Record
from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from coronet_core.data.reading.image import decode
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError
from tasks.build_split import stage as build_split
from tasks.runtime.params.data import ImageFolderSource, SplitByFolds, SplitByPatients, SplitByTestPatients
from tasks.runtime.paths import IMAGE_NAMES, IMAGES, MANIFEST, SPLIT, STATE
from tests.core.test_dicom import SECRETS, dicom, saved
from tests.tasks.damage import DAMAGES, spoil
from tests.tasks.split.raw_images import RAW, add_patients, file_of, splits_of_patients

pytestmark = pytest.mark.usefixtures("without_mlflow")


def test_names_of_images_are_no_formulas_of_a_spreadsheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = Record(source="=cmd", name="@a.png", patient_id=None, label="healthy", read=lambda: b"", version="1")
    build_split._write_names(
        [record], pd.DataFrame({"image_id": ["+a"], "source": ["=cmd"], "rejected_because": [None]})
    )
    assert IMAGE_NAMES.read_text() == "image_id,source,name,rejected_because\n'+a,'=cmd,'@a.png,\n"


def test_rows_of_the_manifest_lead_to_the_pixels_of_their_files(build: Callable[..., Any]) -> None:
    shutil.copy(RAW / "healthy/P001healthy_0.png", RAW / "healthy/P000healthy_copy.png")  # a duplicate listed early
    build()
    manifest, stack, files = read_manifest(MANIFEST), Shards.in_folder(IMAGES), file_of()
    assert len(manifest) == len(stack) == 24
    for place, image_id in manifest["image_id"].items():
        expected = decode(files[image_id].read_bytes(), 64, Aspect.STRETCH, 2).pixels
        np.testing.assert_array_equal(stack.take(np.array([place]))[0], expected)


def test_old_patients_keep_their_split_when_images_are_added(build: Callable[..., Any]) -> None:
    build()
    before = splits_of_patients()
    add_patients(range(8, 30))
    report = build()
    after = splits_of_patients()
    assert {patient: after[patient] for patient in before} == before
    assert len(after) == 90
    assert report["images"]["test"]["covid19"] == pytest.approx(7.5, abs=1)


def test_another_rule_deals_all_patients_anew_and_says_so(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    build()
    before = splits_of_patients()
    other = SplitByPatients(by="patients", test_fraction=0.5, validation_fraction=0.25)
    build(split=other)
    assert splits_of_patients() != before
    assert "data.split has changed: all patients are split again" in capsys.readouterr().out


def test_another_key_is_refused_before_patients_move(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "another")
    with pytest.raises(DataError, match=r"written with another CORONET_PSEUDONYM_KEY .* delete data/split"):
        build()


def test_old_patients_stay_when_their_images_turn_out_to_be_copies_of_new_ones(build: Callable[..., Any]) -> None:
    build()
    before = read_manifest(MANIFEST).set_index("sha256")["split"]
    for path in sorted(RAW.rglob("*.png")):
        shutil.copy(
            path, path.with_name(f"P000a{path.name.lower()}")
        )  # listed first: the old ones are the duplicates now
    report = build()
    assert report["rejected"] == {"duplicate": 24}
    assert read_manifest(MANIFEST).set_index("sha256")["split"].to_dict() == before.to_dict()


def test_a_stop_while_the_split_is_published_loses_nobody(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    build()
    before = splits_of_patients()
    add_patients(range(8, 12))
    replace_path = Path.replace

    def stopping(self: Path, target: Path) -> Path:
        if target == SPLIT:
            raise KeyboardInterrupt
        return replace_path(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", stopping)
        with pytest.raises(KeyboardInterrupt):
            build()
    assert not SPLIT.exists()
    build()
    after = splits_of_patients()
    assert {patient: after[patient] for patient in before} == before


def test_a_duplicate_that_connects_old_patients_moves_them_to_where_most_was_seen(build: Callable[..., Any]) -> None:
    build(duplicates="keep")
    before, files = splits_of_patients(), file_of()
    manifest = read_manifest(MANIFEST)
    healthy = manifest[manifest["label"] == "healthy"]
    trained, tested = (healthy[healthy["split"] == split].iloc[0] for split in ("train", "test"))
    shutil.copy(
        files[tested["image_id"]], files[trained["image_id"]].with_name(f"{files[trained['image_id']].stem[:-2]}_1.png")
    )
    report = build(duplicates="keep")
    after = splits_of_patients()
    assert (before[tested["patient_id"]], after[tested["patient_id"]]) == ("test", "train")
    assert report["patients_in_two_splits"] == 0
    assert report["duplicates"] | {"contradicting_images": []} == {
        "bytes": 1, "pixels": 0, "near": 0, "across_sources": 0, "across_patients": 1,
        "contradicting_labels": 0, "contradicting_images": [], "kept": 1,
    }  # fmt: skip
    assert any("1 image is a duplicate and was kept" in text for text in report["warnings"])


def test_contradicting_labels_are_left_out_and_said(build: Callable[..., Any]) -> None:
    shutil.copy(RAW / "healthy/P001healthy_0.png", RAW / "pneumonia/P100_0.png")
    report = build()
    assert report["rejected"] == {"duplicates with contradicting labels": 2}
    assert len(report["duplicates"]["contradicting_images"]) == 2
    assert any("some labels must be wrong" in text for text in report["warnings"])


def test_kinds_of_rejects_are_counted_and_named_in_the_manifest(build: Callable[..., Any]) -> None:
    good = (RAW / "healthy/P001healthy_0.png").read_bytes()
    faults = {"truncated": good[:-3000], "empty": b"", "text": b"no image", "flat": b"P5 9 9 255\n" + bytes(81)}
    for name, content in faults.items():
        (RAW / "healthy" / f"P9{name}_0.png").write_bytes(content)
    with pytest.raises(DataError, match=r"4 of 28 .*; and 1 more\)\. \.coronet/image_names\.csv lists them") as error:
        build()
    assert "xray/healthy/P9empty_0.png: empty file; " in str(error.value)
    report = build(max_rejected_fraction=0.2)
    assert report["rejected"] == {
        "truncated or damaged image": 1, "empty file": 1, "not an image": 1, "zero variance": 1,
    }  # fmt: skip
    assert read_rows(MANIFEST)["rejected_because"].notna().sum() == 4


def test_when_nothing_can_be_read_it_says_so(build: Callable[..., Any]) -> None:
    for path in RAW.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="24 of 24 images cannot be read"):
        build(max_rejected_fraction=1.0)


def test_what_a_dicom_says_of_the_patient_is_written_nowhere(
    build: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, label in enumerate(CLASSES):
        pixels, _ = phantom.draw(2, label, f"dicom-{number}", 0, 128)
        content = saved(dicom(pixels, PatientAge="061Y", PatientSex="F", ViewPosition="AP"))
        (RAW / label / f"P{number}d_{SECRETS['PatientID']}.dcm").write_bytes(content)
        (RAW / label / f"P{number}e_{SECRETS['PatientID']}.dcm").write_bytes(content[:-4000])
    build(max_rejected_fraction=0.2)
    said = "".join(capfd.readouterr())
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "data/raw" not in str(path)]
    private = {tmp_path / IMAGE_NAMES}  # file names, for the person who has to repair a file; it stays on the machine
    for secret in SECRETS.values():
        assert secret not in said
        assert [path for path in written if path not in private and secret.encode() in path.read_bytes()] == []
    seen = read_manifest(MANIFEST)["view"].value_counts()
    assert seen["AP"] == 3
    assert read_rows(MANIFEST)["rejected_because"].dropna().unique().tolist() == [
        "truncated or damaged DICOM (ValueError)"
    ]


class Stopped(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize(
    "file", ["decoded/shard-00001.npy", pytest.param("blocks/00001-*.rows", marks=pytest.mark.slow)]
)
def test_a_build_that_was_stopped_goes_on_past_a_damaged_block(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    def stop(*_: object) -> None:
        raise Stopped

    build()
    undisturbed = read_rows(MANIFEST)
    with monkeypatch.context() as until_then:
        until_then.setattr(build_split, "apply_rules", stop)
        with pytest.raises(Stopped):
            build()
    (damaged,) = (STATE / "resume/build_split").glob(file)
    spoil(damaged, DAMAGES["half"])
    capsys.readouterr()
    build()
    told = capsys.readouterr()
    assert told.err.count(f"warning: {damaged} is damaged") == 1
    assert "resuming with 3 blocks of 7 images" in told.out
    pd.testing.assert_frame_equal(read_rows(MANIFEST), undisturbed)


def test_the_fraction_that_the_error_names_is_enough(build: Callable[..., Any]) -> None:
    for number in range(4):
        (RAW / "healthy" / f"P9{number}_0.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        build()
    fraction = float(str(caught.value).split("max_rejected_fraction = ")[1].split()[0])
    build(max_rejected_fraction=fraction)


def test_a_published_test_part_without_a_class_is_an_error(build: Callable[..., Any]) -> None:
    published = SplitByTestPatients(
        by="test_patients", test_patients=["P001healthy"], test_images=[], leaks=Leaks.REFUSE, validation_fraction=0.2
    )
    with pytest.raises(DataError, match="class pneumonia has no image in the published test part"):
        build(split=published)


@pytest.mark.parametrize("unit", ["patients", pytest.param("images", marks=pytest.mark.slow)])
def test_folds_test_every_image_once(build: Callable[..., Any], unit: FoldUnit) -> None:
    for label in CLASSES:
        for number in range(8):
            pixels, _ = phantom.draw(1, label, f"{label}-{number}", 1, 96)
            Image.fromarray(pixels).save(RAW / label / f"P{number:03d}{label}_1.png")
    tested, leaks = [], []
    for fold in (1, 2, 3):
        rule = SplitByFolds(by="folds", folds=3, fold=fold, unit=unit, validation_fraction=0.25)
        leaks.append(build(split=rule)["patients_in_two_splits"])
        manifest = read_manifest(MANIFEST)
        assert set(manifest["split"]) == {"train", "validation", "test"}
        tested += manifest.loc[manifest["split"] == "test", "image_id"].tolist()
    assert sorted(tested) == sorted(read_manifest(MANIFEST)["image_id"])
    assert any(leaks) == (unit == "images")


def test_folds_by_image_keep_an_image_and_its_duplicate_together(build: Callable[..., Any]) -> None:
    for path in sorted(RAW.rglob("*.png")):
        shutil.copy(path, path.with_name(f"P9{path.name[2:]}"))
    rule = SplitByFolds(by="folds", folds=3, fold=2, unit="images", validation_fraction=0.25)
    report = build(split=rule, duplicates="keep")
    manifest = read_manifest(MANIFEST)
    assert (report["duplicates"]["kept"], len(manifest)) == (24, 48)
    assert manifest.groupby("sha256")["split"].nunique().max() == 1


def test_only_what_is_missing_is_read_after_a_stop(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = Decoders.decode

    def counting(self: Decoders, content: bytes, image_size_px: int, aspect: Aspect, reading: Reading) -> Any:
        if len(read) >= 17 and stopping:
            raise KeyboardInterrupt
        read.append(1)
        return real(self, content, image_size_px, aspect, reading)

    monkeypatch.setattr(Decoders, "decode", counting)
    monkeypatch.setattr("coronet_core.data.ingest.usable_cores", lambda: 1)
    stopping = True
    with pytest.raises(KeyboardInterrupt):
        build()
    assert not MANIFEST.exists()
    read.clear()
    stopping = False
    build()
    assert len(read) == 24 - 14  # two blocks of seven were whole


@pytest.mark.slow
def test_real_public_sets_share_images_and_give_their_labels_away(build: Callable[..., Any], shared: Path) -> None:
    """DarkCovidNet's X-rays and a sample of COVID-19 Radiography and Kermany: 6,895 images."""
    sources = [
        ImageFolderSource(kind="image_folder", folder=folder, labels_csv="labels.csv", patient_id_pattern=None)
        for folder in ("xray", "large")
    ]
    report = build(root=str(shared / "data"), sources=sources, image_size_px=224, shard_images=2048)
    assert report["duplicates"]["bytes"] == 21
    assert report["duplicates"]["near"] == pytest.approx(119, abs=3)
    assert report["duplicates"]["across_sources"] == pytest.approx(75, abs=3)
    assert report["patients_in_two_splits"] == 0
    assert report["shortcuts"]["source"]["pneumonia"] > 0.95
    assert any(text.startswith("From the source alone, non-COVID Pneumonia") for text in report["warnings"])
