"""A project, a package and a store of a former version go on with this one: the code is new, what was made is not."""

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from PIL import Image

from coronet_core.common.manifest import read_rows
from tasks.runtime.paths import IMAGES, MANIFEST
from tests.conftest import PROJECT
from tests.integration.conftest import COVERED, LIGHT, SOURCES, TINY, Project, commit_all
from tests.integration.test_promotion import ANYTHING

pytestmark = [pytest.mark.integration, pytest.mark.slow]
FORMER = "f3b3678"
"""Commit of the former version: images had one rule of reading, and patients one id from each of their sources."""
OWN = ("params.yaml", "data")
"""What is the user's, and stays when the code is updated."""


def former_project(folder: Path) -> Project:
    """A project of the former version, with its code, in `folder`."""
    archive = subprocess.run(["git", "archive", FORMER], cwd=PROJECT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"needs the history of this repository, back to {FORMER}")
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    project = Project(folder)
    project.set_params(TINY | {"explain": {k: v for k, v in TINY["explain"].items() if k != "gallery_method"}})
    project.set_params(
        LIGHT | {"autoencoder": {"epochs": 1}, "cin": {"epochs": 1}, "promotion": ANYTHING | {"max_drop": 1.0}}
    )
    commit_all(folder)
    return project


def update(project: Project) -> None:
    """Put the code of this version into `project`, as a pull does."""
    for name in SOURCES:
        source, target = PROJECT / name, project.folder / name
        if name in OWN:
            continue
        if source.is_dir():
            if name != ".dvc":
                shutil.rmtree(target)
            shutil.copytree(source, target, ignore=COVERED, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def images(project: Project) -> list[Any]:
    """The pixels of all images; the files of this version have checksums as well."""
    shards = sorted((project.folder / IMAGES).glob("*.npy"))
    return [image for shard in shards for image in np.load(shard).tolist()]


def splits(project: Project) -> dict[str, str]:
    rows = read_rows(project.folder / MANIFEST)
    return dict(zip(rows["patient_id"], rows["split"], strict=True))


def test_a_project_of_the_former_version_goes_on(tmp_path: Path) -> None:
    project = former_project(tmp_path / "coronet")
    scans, package = project.folder / "scans", tmp_path / "package"
    scans.mkdir()
    Image.radial_gradient("L").save(scans / "8_bit.png")
    Image.linear_gradient("L").convert("I;16").save(scans / "16_bit.png")
    project.done("flows", "run")
    assert "version 1 is the champion" in project.done("flows", "promote")
    project.done("flows", "predict", "scans", "--out", "then.csv")
    shutil.copytree(project.folder / "models" / "coronet", package)
    made = images(project), splits(project)

    update(project)
    for out, model in (("package.csv", str(package)), ("champion.csv", "models:/coronet@champion")):
        project.done("flows", "predict", "scans", "--out", out, "--model", model)
        then, now = (pd.read_csv(project.folder / name) for name in ("then.csv", out))
        pd.testing.assert_frame_equal(now[then.columns], then)
    project.set_params({"cin": {"epochs": 2}})  # so that there is a model to compare
    project.done("flows", "run")
    assert (images(project), splits(project)) == made
    assert "version 2 is the champion, in place of version 1" in project.done("flows", "promote")
    assert "version 1 is the champion again" in project.done("flows", "rollback", "--reason", "misses lateral views")
    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    assert int(client.get_model_version_by_alias("coronet", "champion").version) == 1
