"""Raw images of a project of tests, and what became of them."""

from pathlib import Path

import pandas as pd
from PIL import Image

from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import read_manifest
from coronet_core.data.sources import phantom
from tasks.runtime.params.data import ImageFolderSource
from tasks.runtime.paths import IMAGE_NAMES, MANIFEST

RAW = Path("data/raw/xray")


FOLDERS = ImageFolderSource(kind="image_folder", folder="xray", labels_csv=None, patient_id_pattern=None)


def add_patients(numbers: range, suffix: str = ".png") -> None:
    for label in CLASSES:
        (RAW / label).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            pixels, _ = phantom.draw(1, label, f"{label}-{number}", 0, 96)
            Image.fromarray(pixels).save(RAW / label / f"P{number:03d}{label}_0{suffix}")


def splits_of_patients() -> dict[str, str]:
    manifest = read_manifest(MANIFEST)
    return dict(zip(manifest["patient_id"], manifest["split"], strict=True))


def file_of() -> dict[str, Path]:
    names = pd.read_csv(IMAGE_NAMES)
    return {image_id: Path("data/raw") / name for image_id, name in zip(names["image_id"], names["name"], strict=True)}
