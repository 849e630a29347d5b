"""From a reader's verdict on the service to a split that is built with it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from coronet_core.common.manifest import read_manifest
from tasks.external_validation.labelled_folder import LabelledFolder
from tasks.runtime.params.data import ImageFolderSource
from tasks.runtime.paths import MANIFEST
from tests.serving.served import png, running
from tests.tasks.split.raw_images import RAW, file_of

pytestmark = pytest.mark.usefixtures("without_mlflow")

FORMULA = "=HYPERLINK(1).png"


def verdict(client: httpx.Client, path: Path, label: str, reader: str = "AB") -> None:
    answered = client.post("/predict", files={"files": (path.name, path.read_bytes())}).json()
    (answer,) = answered["answers"]
    said = {
        "file": answer["name"],
        "sha256": answer["sha256"],
        "label": label,
        "reader": reader,
        "model": answered["model"],
        "predicted": answer["predicted"],
        "probability": answer["probabilities"][answer["predicted"]],
        "prediction_set": answer["prediction_set"],
        "out_of_distribution": answer["out_of_distribution"],
    }
    stored = client.post("/verdicts", json=said)
    assert stored.status_code == 200, stored.text


def test_a_split_is_built_from_the_verdicts_that_a_service_has_written(build: Callable[..., Any]) -> None:
    (RAW / "healthy" / FORMULA).write_bytes(png(99))
    images = sorted(RAW.rglob("*.png"))
    called = {path: "covid19" if path.name == FORMULA else path.parent.name for path in images}
    mistaken, unclear, dark = (RAW / f"pneumonia/P00{number}pneumonia_0.png" for number in range(3))
    called[mistaken] = "healthy"
    table = RAW / "verdicts.csv"
    with running(verdicts=table, log_requests=False) as address, httpx.Client(base_url=address, timeout=60) as client:
        for path, label in called.items():
            verdict(client, path, label)
        verdict(client, unclear, "covid19", reader="CD")
        verdict(client, dark, "not_readable")
    source = ImageFolderSource(kind="image_folder", folder="xray", labels_csv=table.name, patient_id_pattern=None)
    report = build(sources=[source])
    validated = LabelledFolder.of(RAW, table)
    manifest = read_manifest(MANIFEST).set_index("image_id")
    expected = {path: label for path, label in called.items() if path not in {unclear, dark}}
    assert {path: manifest["label"][image_id] for image_id, path in file_of().items()} == expected
    found = zip(validated.files, validated.listing.records, strict=True)
    assert {RAW / file: record.label for file, record in found} == expected
    reasons = ("readers disagree on its class", "called not readable by a reader")
    assert {reason: report["passed_over"][f"image_folder: {reason}"] for reason in reasons} == dict.fromkeys(reasons, 1)
