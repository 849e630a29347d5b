"""A finished run of phantoms, packages of its model, and labelled folders to validate it on."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML
from safetensors.torch import load_file

from coronet_core.classifier.architectures import build_cin
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import PRECISION_KEY
from coronet_core.common.manifest import read_manifest
from coronet_core.common.weights import save_weights
from coronet_core.data.image_record import Record
from coronet_core.data.sources import phantom
from tasks.build_split.pseudonym_key import ids_of
from tasks.build_split.sources import list_images
from tasks.calibrate import stage as calibrate
from tasks.evaluate import stage as evaluate
from tasks.external_validation.labelled_folder import LabelledFolder
from tasks.external_validation.tested_model import TestedModel
from tasks.external_validation.validation import Validation
from tasks.package.dvc_lock import Lock
from tasks.package.package_folder import write_package
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import CIN_WEIGHTS, MANIFEST, PREDICTIONS
from tasks.runtime.stage_context import StageContext
from tests.conftest import PROJECT
from tests.tasks.finished_run import model_of_run, run_up_to_evaluate
from tests.tasks.trained_model import CARD, some_lineage

Records = dict[str, Record]
KNOWN = Path("known")
"""The package whose run is in this project."""
UNKNOWN = Path("unknown")
"""The same model with the digests of files that are nowhere."""
COLUMNS = ("file", "label", "patient_id", "view", "sex", "age", "source")
ELSEWHERE = 77
"""Seed of phantoms that no split has."""


@dataclass(frozen=True)
class Labelled:
    """An image for a labelled folder."""

    name: str
    content: bytes
    label: str
    patient: str
    view: str = "PA"
    sex: str = ""
    age: str = ""
    source: str = ""


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], check=True)


def make_run() -> tuple[StageContext, Records]:
    """Make the run and the packages in the current folder, DVC's record of the split included.

    Returns the context of any stage, and the images of the split by their ids.
    """
    torch.manual_seed(0)  # networks that have learnt nothing, the same in any order of the tests
    context = run_up_to_evaluate()
    params = context.params
    _spread_predictions()
    for stage in (calibrate, evaluate):
        stage.run(replace(context, name=stage.__name__.rpartition(".")[2]))
    _commit_to_dvc(params)
    lock, model = Lock(Path()), model_of_run(params)
    write_package(KNOWN, model, CARD, some_lineage(params=lock.all_params(), data=lock.md5s()))
    nowhere = dict.fromkeys(lock.md5s(), "0" * 32)
    write_package(UNKNOWN, model, CARD, some_lineage(params=lock.all_params(), data=nowhere))
    ids = ids_of(params.data)
    return context, {ids.image(record): record for record in list_images(params.data, params.seed).records}


def _commit_to_dvc(params: Params) -> None:
    """Have DVC record the run as that of the project's stages, without their code and what training leaves."""
    yaml, values = YAML(typ="safe"), json.loads(json.dumps(asdict(params)))
    yaml.dump(values, Path("params.yaml"))
    stages = yaml.load(PROJECT / "dvc.yaml")["stages"]
    for name in ("audit", "explain", "report", "package"):
        del stages[name]
    for stage in (found.get("do", found) for found in stages.values()):
        stage["cmd"] = "true"
        for kind in {"deps", "outs", "metrics"} & set(stage):
            paths = [next(iter(one)) if isinstance(one, dict) else one for one in stage[kind]]
            kept = [one for one in paths if Path(one.replace("${item}", "healthy")).exists()]
            stage[kind] = kept
    yaml.dump({"stages": stages}, Path("dvc.yaml"))
    dvc("init", "--no-scm")
    dvc("commit", "--force")


def _spread_predictions() -> None:
    """Change the last layer of the CIN, which has learnt nothing, so that it predicts every class for some images."""
    logits = pd.read_parquet(PREDICTIONS)[[f"logit_{label}" for label in CLASSES]].to_numpy(np.float32)
    weights = load_file(CIN_WEIGHTS)
    factor = 1 / torch.from_numpy(logits.std(axis=0))
    weights["fc.bias"] = (weights["fc.bias"] - torch.from_numpy(logits.mean(axis=0))) * factor
    weights["fc.weight"] = weights["fc.weight"] * factor[:, None]
    network = build_cin()
    network.load_state_dict(weights)
    save_weights(network, CIN_WEIGHTS, {PRECISION_KEY: "fp32"})


def labelled(record: Record) -> Labelled:
    """Return an image of the split as it would be in another folder."""
    name = record.name.replace("/", "_") + ".pgm"
    return Labelled(
        name=name,
        content=record.read(),
        label=record.label,
        patient=record.patient_id or "",
        view=record.view or "",
        sex=record.sex or "",
        age=str(record.age),
        source=record.source,
    )


def from_elsewhere(per_class: int = 2, **fields: str) -> list[Labelled]:
    """Return images that no split has, `per_class` of each class."""
    found = phantom.records(dict.fromkeys(("healthy", "pneumonia", "covid19"), per_class), 1, 64, ELSEWHERE).records
    images = [labelled(record) for record in found]
    described = {"source": "ward", "sex": "F", **fields}
    return [Labelled(**(asdict(one) | {"patient": f"ward-{one.patient}", **described})) for one in images]


def write_folder(folder: Path, images: Iterable[Labelled], columns: Sequence[str] = COLUMNS) -> Path:
    """Write `images` into a folder with a table of labels."""
    folder.mkdir(parents=True)
    rows = []
    for image in images:
        (folder / image.name).write_bytes(image.content)
        described = {**asdict(image), "file": image.name, "patient_id": image.patient}
        rows.append([described[column] for column in columns])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return folder


def of_split(records: Records, split: str) -> list[Record]:
    manifest = read_manifest(MANIFEST)
    return [records[image] for image in manifest.loc[manifest["split"] == split, "image_id"]]


def validated(folder: Path, package: Path = KNOWN, **options: Any) -> Validation:
    return Validation.of(LabelledFolder.of(folder, **options), TestedModel.of(str(package)), folder.with_name("work"))


def reasons(found: Validation) -> dict[str, str]:
    return dict(zip(found.left_out["file"], found.left_out["reason"], strict=True))
