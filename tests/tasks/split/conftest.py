"""A project whose split is built."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.build_split import labels_only as build_labels_only
from tasks.build_split import stage as build_split
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import ImageFolderSource, SplitByPatients
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import SPLIT_REPORT
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tests.conftest import PARAMS
from tests.tasks.split.raw_images import add_patients


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """The parameters of a project with eight patients of each class."""
    monkeypatch.chdir(tmp_path)
    add_patients(range(8))
    params = read_params(PARAMS)
    source = ImageFolderSource(
        kind="image_folder", folder="xray", labels_csv=None, patient_id_pattern=r"^(P\d+[a-z0-9]+)_"
    )
    split = SplitByPatients(by="patients", test_fraction=0.25, validation_fraction=0.25)
    return replace(params, data=replace(params.data, root="data/raw", sources=[source], split=split, shard_images=7))


@pytest.fixture
def build(params: Params) -> Callable[..., dict[str, Any]]:
    """A function that builds the split of the project and returns its report."""

    def run(**changes: Any) -> dict[str, Any]:
        with StageRun("build_split", {}) as tracking:
            changed = replace(params, data=replace(params.data, **changes))
            build_split.run(StageContext(name="build_split", params=changed, tracking=tracking))
        report: dict[str, Any] = json.loads(SPLIT_REPORT.read_text())
        return report

    return run


@pytest.fixture
def labels_only(params: Params) -> Callable[..., dict[str, Any]]:
    """A function that builds the split of the project from its labels alone and returns the report."""

    def run(**changes: Any) -> dict[str, Any]:
        return build_labels_only.build(replace(params, data=replace(params.data, **changes)), Path("labels_only"))

    return run
