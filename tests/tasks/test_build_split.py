"""The stage `build_split` on files: what it keeps, what it leaves out, what it never writes."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from coronet_core.classes import CLASSES, FoldUnit
from coronet_core.data.image import decode
from coronet_core.data.manifest import read_manifest, read_notes, read_rows
from coronet_core.data.options import Aspect, Leaks, Reading
from coronet_core.data.record import Record
from coronet_core.data.sources import phantom
from coronet_core.errors import DataError, ParamsError
from coronet_core.shards import Shards
from tasks import build_split
from tasks.params.data import ImageFolderSource, SplitByFolds, SplitByPatients, SplitByTestPatients
from tasks.params.file import read_params
from tasks.paths import IMAGE_NAMES, IMAGES, MANIFEST, SPLIT, SPLIT_REPORT, STATE
from tasks.stage import StageContext
from tasks.tracking.run import StageRun
from tests.conftest import PROJECT
from tests.core.test_dicom import SECRETS, dicom, saved
from tests.tasks.damage import DAMAGES, spoil

pytestmark = pytest.mark.usefixtures("mlflow_store")
RAW = Path("data/raw/xray")
FOLDERS = ImageFolderSource(kind="image_folder", folder="xray", labels_csv=None, patient_id_pattern=None)


def add_patients(numbers: range, suffix: str = ".png") -> None:
    for label in CLASSES:
        (RAW / label).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            pixels, _ = phantom.draw(1, label, f"{label}-{number}", 0, 96)
            Image.fromarray(pixels).save(RAW / label / f"P{number:03d}{label}_0{suffix}")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function that builds the split of a project with eight patients of each class, and returns its report."""
    monkeypatch.chdir(tmp_path)
    add_patients(range(8))
    params = read_params(PROJECT / "params.yaml")
    source = ImageFolderSource(
        kind="image_folder", folder="xray", labels_csv=None, patient_id_pattern=r"^(P\d+[a-z0-9]+)_"
    )
    split = SplitByPatients(by="patients", test_fraction=0.25, validation_fraction=0.25)
    data = replace(params.data, root="data/raw", sources=[source], split=split, shard_images=7)

    def run(**changes: Any) -> dict[str, Any]:
        with StageRun("build_split", {}) as tracking:
            changed = replace(params, data=replace(data, **changes))
            build_split.run(StageContext(name="build_split", params=changed, tracking=tracking))
        report: dict[str, Any] = json.loads(SPLIT_REPORT.read_text())
        return report

    return run


def splits_of_patients() -> dict[str, str]:
    manifest = read_manifest(MANIFEST)
    return dict(zip(manifest["patient_id"], manifest["split"], strict=True))


def file_of() -> dict[str, Path]:
    names = pd.read_csv(IMAGE_NAMES)
    return {image_id: Path("data/raw") / name for image_id, name in zip(names["image_id"], names["name"], strict=True)}


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
    assert "data.split has changed: all patients are dealt anew" in capsys.readouterr().out


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


def test_what_is_wrong_with_a_file_is_not_told_to_mlflow(build: Callable[..., Any], tmp_path: Path) -> None:
    (RAW / "healthy" / "DOE_JANE.png").write_bytes(b"")
    with pytest.raises(DataError, match="finds no patient in this file name"):
        build()
    assert b"DOE_JANE" not in (tmp_path / "mlflow.db").read_bytes()


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
    assert any("1 images show what another image shows, and were kept" in text for text in report["warnings"])


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


@pytest.mark.parametrize("file", ["decoded/shard-00001.npy", "blocks/00001-*.rows"])
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


@pytest.mark.parametrize("unit", ["patients", "images"])
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


def test_only_what_is_missing_is_read_after_a_stop(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = decode

    def counting(content: bytes, image_size_px: int, aspect: Aspect, reading: Reading) -> Any:
        if len(read) == 17 and stopping:
            raise KeyboardInterrupt
        read.append(1)
        return real(content, image_size_px, aspect, reading)

    monkeypatch.setattr("coronet_core.data.ingest.decode", counting)
    monkeypatch.setattr("coronet_core.data.ingest.usable_cores", lambda: 1)
    stopping = True
    with pytest.raises(KeyboardInterrupt):
        build()
    assert not MANIFEST.exists()
    read.clear()
    stopping = False
    build()
    assert len(read) == 24 - 14  # two blocks of seven were whole


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
    assert any(text.startswith("By its source alone, non-COVID Pneumonia") for text in report["warnings"])


def test_what_is_passed_over_is_told_on_the_terminal_and_in_the_report(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (RAW / "healthy/masks").mkdir()
    shutil.copy(RAW / "healthy/P001healthy_0.png", RAW / "healthy/masks")
    (RAW / "healthy/._P001healthy_0.png").write_bytes(b"\x00\x05\x16\x07")
    (RAW / "notes.txt").write_text("who is who")
    report = build()
    assert report["passed_over"] == {
        "image_folder: hidden or companion file": 1,
        "image_folder: not an image": 1,
        "image_folder: mask beside images": 1,
    }
    assert "passed over: 1 image_folder: mask beside images\n" in capsys.readouterr().out


def test_a_mask_among_images_is_left_out_and_does_not_stop_the_build(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[20:60, 30:50] = 255
    Image.fromarray(mask).save(RAW / "healthy/P099healthy_0.png")
    report = build(max_rejected_fraction=0.0)
    assert report["rejected"] == {"mask": 1}
    assert "left out: 1 mask\n" in capsys.readouterr().out
    assert len(read_manifest(MANIFEST)) == 24


def test_a_folder_of_masks_alone_is_an_error(build: Callable[..., Any]) -> None:
    mask = np.zeros((96, 96), dtype=np.uint8)
    mask[20:60, 30:50] = 255
    for path in RAW.rglob("*.png"):
        Image.fromarray(mask).save(path)
    with pytest.raises(DataError, match=r"none of 24 images is an X-ray \(the first: mask \(2 grey levels\)\)"):
        build()


def test_the_names_of_images_are_for_their_owner_alone(build: Callable[..., Any]) -> None:
    former = os.umask(0o022)
    try:
        build()
        IMAGE_NAMES.chmod(0o644)  # as an earlier version left it
        build()
    finally:
        os.umask(former)
    assert IMAGE_NAMES.stat().st_mode & 0o777 == 0o600


def test_a_key_that_everybody_knows_is_warned_of(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = build()
    assert any("CORONET_PSEUDONYM_KEY is not set: ids of patients" in sentence for sentence in report["warnings"])
    assert "warning: CORONET_PSEUDONYM_KEY is not set" in capsys.readouterr().out
    shutil.rmtree(SPLIT)
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "of the hospital")
    assert not any("CORONET_PSEUDONYM_KEY" in sentence for sentence in build()["warnings"])


def test_phantoms_need_no_key(build: Callable[..., Any]) -> None:
    report = build(sources=read_params(PROJECT / "params.yaml").data.sources, require_secret_key=True)
    assert not any("CORONET_PSEUDONYM_KEY" in sentence for sentence in report["warnings"])


def test_a_required_key_is_asked_for_with_what_to_type_before_anything_is_written(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    remedy = r"secrets\.token_hex\(32\).*export CORONET_PSEUDONYM_KEY=.*require_secret_key: false"
    for key in ("", "coronet"):
        monkeypatch.setenv("CORONET_PSEUDONYM_KEY", key)
        with pytest.raises(ParamsError, match=remedy):
            build(require_secret_key=True)
    assert not SPLIT.exists()
    assert not IMAGE_NAMES.exists()
    monkeypatch.setenv("CORONET_PSEUDONYM_KEY", "of the hospital")
    build(require_secret_key=True)


def test_a_split_that_was_made_with_the_default_key_goes_on_when_none_is_required(build: Callable[..., Any]) -> None:
    build()
    before = splits_of_patients()
    with pytest.raises(ParamsError, match="to go on with a split that was made without a key"):
        build(require_secret_key=True)
    build(require_secret_key=False)
    assert splits_of_patients() == before


def test_a_dicom_report_among_images_does_not_stop_the_build(build: Callable[..., Any]) -> None:
    report = dicom(np.zeros((8, 8), dtype=np.uint8))
    del report.PixelData
    (RAW / "healthy/1.2.826.0.1.3680043.8.498.562421193083730_").write_bytes(saved(report))
    assert build(max_rejected_fraction=0.0, sources=[FOLDERS])["rejected"] == {"not an image": 1}
    assert len(read_manifest(MANIFEST)) == 24


def add_dicoms(name_of: Callable[[str, int], str], patient_of: Callable[[str, int], str], images: range) -> None:
    for label in CLASSES:
        for number in images:
            pixels, _ = phantom.draw(12, label, f"dicom-{number}", 0, 128)
            content = saved(dicom(pixels, PatientID=patient_of(label, number)))
            (RAW / label / name_of(label, number)).write_bytes(content)


def without_pattern(labels_csv: str | None = None) -> list[ImageFolderSource]:
    return [ImageFolderSource(kind="image_folder", folder="xray", labels_csv=labels_csv, patient_id_pattern=None)]


def write_labels(patient_of: Callable[[Path], str]) -> None:
    files = sorted(path for path in RAW.rglob("*") if path.suffix in {".png", ".dcm"})
    rows = [f"{path.relative_to(RAW)},{patient_of(path)}" for path in files]
    (RAW / "labels.csv").write_text("\n".join(["file,patient_id", *rows]) + "\n")


def test_a_patient_of_a_table_and_of_headers_is_in_one_split(build: Callable[..., Any]) -> None:
    add_dicoms(lambda _, i: f"P{i:03d}d_0.dcm", lambda label, i: f"{label}-{i}", range(8))
    write_labels(lambda path: "" if path.suffix == ".dcm" else f"{path.parent.name}-{int(path.name[1:4])}")
    report = build(sources=without_pattern("labels.csv"), duplicates="keep")
    assert sum(sum(by_class.values()) for by_class in report["patients"].values()) == 24
    assert report["patient_ids"]["from"] == {"table": 24, "header": 24}
    manifest, files = read_manifest(MANIFEST), file_of()
    people = manifest["image_id"].map(lambda image: f"{files[image].parent.name}-{files[image].name[:4]}")
    assert manifest.groupby(people)["split"].nunique().max() == 1
    assert manifest["patient_id"].nunique() == 24


def test_a_placeholder_is_no_patient_and_that_is_said(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    add_dicoms(lambda _, i: f"P{i:03d}d_0.dcm", lambda *_: "ANONYMOUS", range(8))
    report = build(sources=without_pattern(), duplicates="keep")  # phantoms look alike
    assert read_manifest(MANIFEST)["patient_id"].nunique() == 48
    assert any(text.startswith("24 of 48 images have zeros or a word such as ANONYMOUS") for text in report["warnings"])
    assert "warning: 24 of 48 images have zeros or a word" in capsys.readouterr().out


def test_patients_whose_ids_are_doubtful_are_named_by_an_image(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    add_dicoms(lambda _, i: f"P{i:03d}d_0.dcm", lambda *_: "TEST-HOSPITAL", range(8))
    first, second = sorted(RAW.rglob("P00[01]healthy_0.png"))
    own = {first: "7", second: "007"}
    write_labels(lambda path: "" if path.suffix == ".dcm" else own.get(path, path.stem))
    report = build(sources=without_pattern("labels.csv"), duplicates="keep")
    (unlikely,) = report["patient_ids"]["unlikely"]
    assert unlikely["images"] == 24
    assert len(report["patient_ids"]["leading_zeros"]) == 1
    said = capsys.readouterr().out
    assert f"warning: Patient {unlikely['patient_id']} holds 24 of 48 images (50%)" in said
    assert f"patient {unlikely['patient_id']}: of xray/covid19/P000d_0.dcm" in said
    for file, own_id in own.items():
        assert f": '{own_id}', of xray/healthy/{file.name}" in said
    assert "TEST-HOSPITAL" not in said + SPLIT_REPORT.read_text()


def test_patients_stay_where_they_were_when_their_ids_are_read_in_another_way(build: Callable[..., Any]) -> None:
    """Patients by the name of the file, then by a table that comes later."""
    build()
    before = read_manifest(MANIFEST).set_index("image_id")["split"]
    write_labels(lambda path: f"{path.parent.name} {int(path.name[1:4])}")
    add_patients(range(8, 12))
    write_labels(lambda path: f"{path.parent.name} {int(path.name[1:4])}")
    build(sources=without_pattern("labels.csv"))
    after = read_manifest(MANIFEST).set_index("image_id")
    assert after.loc[before.index, "split"].to_dict() == before.to_dict()
    assert after["patient_id"].nunique() == 36


def test_when_nobody_is_left_to_test_with_the_error_says_how_to_deal_anew(build: Callable[..., Any]) -> None:
    build()
    write_labels(lambda path: path.parent.name)  # one patient a class, in all splits until now
    with pytest.raises(
        DataError, match=r"keep the split of the last build: to deal all of them anew, delete data/split"
    ):
        build(sources=without_pattern("labels.csv"))


def test_the_preset_for_own_x_rays_needs_no_labels_csv(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    preset = read_params(PROJECT / "params/image_folder.yaml").data
    report = build(sources=preset.sources)
    assert report["images"]["train"]["healthy"] > 0
    assert "no labels.csv, so the folders' names are the classes." in capsys.readouterr().out


def test_ages_above_the_oldest_are_written_as_one_and_unread_ones_counted(
    build: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(RAW.rglob("*.png"))
    ages = ["058Y", "95", "104 years", "old", *["61"] * (len(files) - 4)]
    rows = [f"{path.relative_to(RAW)},{path.stem},{age}" for path, age in zip(files, ages, strict=True)]
    (RAW / "labels.csv").write_text("\n".join(["file,patient_id,age", *rows]) + "\n")
    report = build(sources=without_pattern("labels.csv"))
    assert read_manifest(MANIFEST)["age"].value_counts().to_dict() == {61.0: 20, 90.0: 2, 58.0: 1}
    assert report["unread"] == {"image_folder: age": 1}
    assert "not understood and taken as unknown: 1 values of image_folder: age" in capsys.readouterr().out


def add_unsuitable() -> None:
    """A picture of 16 greys and a lateral view beside the patients of `add_patients`."""
    pixels, _ = phantom.draw(1, "healthy", "few", 0, 96)
    Image.fromarray(pixels // 16 * 16).save(RAW / "healthy" / "P900few_0.png")
    lateral, _ = phantom.draw(1, "healthy", "side", 0, 96)
    (RAW / "healthy" / "P901side_0.dcm").write_bytes(saved(dicom(lateral, ViewPosition="LL", WindowWidth=0)))


def test_unsuitable_images_are_noted(build: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    add_unsuitable()
    report = build()
    assert report["reading_notes"] == {"few grey levels": 1, "window ignored (it does not apply)": 1, "lateral view": 1}
    assert report["rejected"] == {}
    assert "noted of 1 images: lateral view" in capsys.readouterr().out
    notes = read_rows(MANIFEST)["reading_notes"].dropna().tolist()
    assert sorted(notes) == ["few grey levels", "window ignored (it does not apply); lateral view"]


def test_unsuitable_images_are_left_out_where_that_is_asked_for(build: Callable[..., dict[str, Any]]) -> None:
    add_unsuitable()
    report = build(unsuitable="reject")
    assert report["rejected"] == {"few grey levels": 1, "lateral view": 1}
    assert report["images"]["train"]["healthy"] > 0
    manifest = read_manifest(MANIFEST)
    stack = Shards.in_folder(IMAGES)
    files = file_of()
    for place, image_id in enumerate(manifest["image_id"]):
        expected = decode(files[image_id].read_bytes(), 64, Aspect.STRETCH, 2).pixels
        np.testing.assert_array_equal(stack.take(np.array([place]))[0], expected)


def test_the_first_rule_notes_nothing_and_keeps_the_split(build: Callable[..., dict[str, Any]]) -> None:
    build()
    dealt = splits_of_patients()
    report = build(reading=1)
    assert report["reading_notes"] == {}
    assert splits_of_patients() == dealt
    assert read_notes(MANIFEST)["reading"] == "1"
