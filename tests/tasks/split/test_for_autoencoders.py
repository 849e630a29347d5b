"""Sources for the autoencoders alone: the split of the others stays, and no held-out image is trained on."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from PIL import Image, ImageEnhance

from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import read_manifest, read_rows
from coronet_core.data.sources import phantom
from coronet_core.data.splitting.autoencoder_images import DUPLICATE, DUPLICATE_OF_MAIN, HELD_OUT_PATIENT
from tasks.runtime.params.data import ImageFolderSource
from tasks.runtime.paths import MANIFEST
from tasks.train_autoencoder.stage import images_of
from tests.tasks.split.raw_images import RAW, file_of

pytestmark = pytest.mark.usefixtures("without_mlflow")
Build = Callable[..., dict[str, Any]]
PATTERN = r"^(P\d+[a-z0-9]+)_"
MAIN = ImageFolderSource(kind="image_folder", folder="xray", labels_csv=None, patient_id_pattern=PATTERN)
EXTRA = replace(MAIN, folder="more", used_by="autoencoders")
MORE = Path("data/raw/more")


def add(label: str, name: str, number: int) -> Path:
    """Add a new phantom to the images for the autoencoders."""
    path = MORE / label / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels, _ = phantom.draw(2, label, f"more-{label}-{number}", 0, 96)  # type: ignore[arg-type]
    Image.fromarray(pixels).save(path)
    return path


def decided(manifest: pd.DataFrame) -> pd.DataFrame:
    columns = ["image_id", "patient_id", "patient_group", "split", "duplicate_of", "rejected_because"]
    return manifest[columns].reset_index(drop=True)


def fate_of(path: Path) -> str:
    """Return why an image was rejected, or its split."""
    names = {file.relative_to("data/raw"): image_id for image_id, file in file_of().items()}
    rows = read_rows(MANIFEST).set_index("image_id")
    matching = [image_id for file, image_id in names.items() if str(file).endswith(str(path.relative_to(MORE)))]
    row = rows.loc[[one for one in matching if rows.loc[one, "published_part"] == "autoencoders"]].iloc[0]
    return str(row["split"] if pd.isna(row["rejected_because"]) else row["rejected_because"])


def main_file(split: str, label: str) -> Path:
    manifest = read_manifest(MANIFEST)
    image_id = manifest[(manifest["split"] == split) & (manifest["label"] == label)]["image_id"].iloc[0]
    named = file_of()[image_id].relative_to("data/raw")
    return RAW / named.relative_to("xray") if named.parts[0] == "xray" else RAW / named


def test_new_images_train_the_autoencoders_and_change_nothing_else(build: Build) -> None:
    alone = build(sources=[MAIN])
    before = read_rows(MANIFEST)
    for number in range(3):
        add("healthy", f"P1{number:02d}new_0.png", number)
    add("covid19", "P200new_0.png", 0)
    report = build(sources=[EXTRA, MAIN])
    after = read_rows(MANIFEST)
    is_extra = after["published_part"] == "autoencoders"
    pd.testing.assert_frame_equal(decided(after[~is_extra]), decided(before))
    assert after.loc[is_extra, "split"].tolist() == ["autoencoders"] * 3
    assert report["for_autoencoders"] == {"healthy": 3, "pneumonia": 0, "covid19": 0}
    assert report["passed_over"] == {"image_folder: covid19, which no autoencoder is trained on": 1}
    for name in ("images", "patients", "table_1", "patients_in_two_splits", "shortcuts", "duplicates", "by_view"):
        assert report[name] == alone[name], name
    cpu, n = torch.device("cpu"), alone["images"]
    assert len(images_of("train", "healthy", cpu)) == n["train"]["healthy"] + 3
    assert len(images_of("train", "pneumonia", cpu)) == n["train"]["pneumonia"]
    assert len(images_of("validation", "healthy", cpu)) == n["validation"]["healthy"]


@pytest.mark.parametrize(
    "split", [*(pytest.param(split, marks=pytest.mark.slow) for split in ("train", "validation")), "test"]
)
@pytest.mark.parametrize("is_near", [False, True], ids=["same bytes", "another contrast"])
def test_an_image_that_the_other_sources_have_is_left_out(build: Build, split: str, *, is_near: bool) -> None:
    build(sources=[MAIN])
    before = read_rows(MANIFEST)
    original = main_file(split, "healthy")
    copy = MORE / "pneumonia" / "P999copy_0.png"  # a wrong label must not take the original out
    copy.parent.mkdir(parents=True)
    if is_near:
        ImageEnhance.Contrast(Image.open(original)).enhance(0.8).save(copy)
    else:
        shutil.copyfile(original, copy)
    build(sources=[MAIN, EXTRA])
    assert fate_of(copy) == DUPLICATE_OF_MAIN
    after = read_rows(MANIFEST)
    pd.testing.assert_frame_equal(decided(after[after["published_part"].isna()]), decided(before))


@pytest.mark.parametrize(
    ("split", "fate"),
    [
        ("train", "autoencoders"),
        pytest.param("validation", HELD_OUT_PATIENT, marks=pytest.mark.slow),
        ("test", HELD_OUT_PATIENT),
    ],
)
def test_patients_of_validation_and_test_are_kept_apart(build: Build, split: str, fate: str) -> None:
    build(sources=[MAIN])
    patient = main_file(split, "healthy").name.removesuffix("_0.png")
    other = add("healthy", f"{patient}_7.png", 5)
    report = build(sources=[MAIN, EXTRA])
    assert fate_of(other) == fate
    assert report["patients_in_two_splits"] == 0


@pytest.mark.parametrize(("duplicates", "fate"), [("drop", DUPLICATE), ("keep", "autoencoders")])
def test_duplicates_among_themselves_go_by_the_rule_of_all(build: Build, duplicates: str, fate: str) -> None:
    first = add("healthy", "P301new_0.png", 1)
    second = MORE / "healthy" / "P302new_0.png"
    shutil.copyfile(first, second)
    build(sources=[MAIN, EXTRA], duplicates=duplicates)
    assert fate_of(first) == "autoencoders"
    assert fate_of(second) == fate


def test_classes_are_those_of_the_other_sources(build: Build) -> None:
    for label in CLASSES:
        add(label, "P400new_0.png", 4)
    report = build(sources=[MAIN, EXTRA])
    assert report["sources"] == {"xray": 24}
