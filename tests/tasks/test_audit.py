"""Stage `audit` on phantoms and untrained networks: what it writes, whatever the test split lacks."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from coronet_core.audits.masking import VIEWS, Regions, View
from coronet_core.audits.ood_detection import Detection
from coronet_core.audits.probes import PROBES
from coronet_core.audits.skill import Sample, ViewFigures, view_figures
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.classes import CLASSES
from coronet_core.common.manifest import read_rows, write_manifest
from coronet_core.common.weights import save_weights
from coronet_core.data.shortcuts import looked_up
from coronet_core.metrics.calibration import CalibrationErrors
from coronet_core.metrics.intervals import Proportion
from coronet_core.metrics.out_of_distribution import EnergyReference
from coronet_core.support.errors import DataError
from tasks.audit import stage as audit
from tasks.audit.audited_images import AuditImages
from tasks.audit.shortcut_classifiers import by_column
from tasks.build_split import stage as build_split
from tasks.calibrate.calibration_file import Calibration, write_calibration
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import PhantomPatients, PhantomSource
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import AUDIT, CIN_WEIGHTS, MANIFEST, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tests.conftest import PARAMS

pytestmark = pytest.mark.usefixtures("without_mlflow")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Params]:
    """A project with a split of 24 phantoms, untrained networks and a calibration, and its params."""
    folder = tmp_path_factory.mktemp("built")
    params = read_params(PARAMS)
    source = PhantomSource(
        kind="phantom", patients=PhantomPatients(healthy=8, pneumonia=8, covid19=8), images_per_patient_max=1
    )
    params = replace(
        params,
        data=replace(params.data, sources=[source]),
        evaluate=replace(params.evaluate, bootstrap_replicates=100),
        audit=replace(params.audit, batch_size=4, probe_images=3),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
        Path("data/raw").mkdir(parents=True)
        build_split.run(StageContext(name="build_split", params=params, tracking=StageRun("build_split", {})))
        for label in CLASSES[:2]:
            save_weights(FPAE(), autoencoder_weights(label))
        save_weights(build_cin(), CIN_WEIGHTS)
        write_calibration(calibration())
    return folder, params


def calibration() -> Calibration:
    """Reference energies; the rest is of no use to an audit."""
    energies = np.exp(np.random.default_rng(0).normal(-3, 0.2, (20, 3)))
    unknown = CalibrationErrors(nll=1.0, brier=1.0, ece=0.1)
    return Calibration(
        images={"healthy": 1, "pneumonia": 1, "covid19": 1},
        temperature=1.0,
        before=unknown,
        after=unknown,
        miscoverage=0.1,
        conformal_quantile=None,
        sensitivity_floor=0.9,
        covid19_threshold=None,
        energies=EnergyReference.from_energies(energies, np.arange(20).astype(object), 95),
        warnings=[],
    )


@pytest.fixture
def context(built: tuple[Path, Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    """A copy of that project, of the test's own."""
    folder, params = built
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return StageContext(name="audit", params=params, tracking=StageRun("audit", {}))


def audited(context: StageContext) -> dict[str, Any]:
    audit.run(context)
    found: dict[str, Any] = json.loads(AUDIT.read_text())
    return found


def change_manifest(**columns: Any) -> None:
    """Give every row of the manifest what the functions in `columns` make of the table."""
    rows = read_rows(MANIFEST)
    write_manifest(rows.assign(**columns), MANIFEST)


def test_every_view_and_every_probe_has_figures(context: StageContext) -> None:
    found = audited(context)
    n_test = int((read_rows(MANIFEST)["split"] == "test").sum())
    assert found["images"]["test"] == n_test
    assert list(found["views"]) == list(VIEWS)
    for view in found["views"].values():
        assert {0 <= view[reader]["balanced_accuracy"] <= 1 for reader in ("network", "forest")} == {True}
    assert list(found["out_of_distribution"]["probes"]) == list(PROBES)
    assert {probe["flagged"]["images"] for probe in found["out_of_distribution"]["probes"].values()} == {3}
    assert found["out_of_distribution"]["xrays_flagged"]["images"] == n_test
    assert found["verdict"]["limits"]["min_kept_skill"] == context.params.audit.min_kept_skill
    assert found["verdict"]["passed"] is (found["verdict"]["findings"] == [])


def test_the_same_seed_gives_the_same_audit_whatever_the_batch(context: StageContext) -> None:
    first = audited(context)
    other = replace(context.params, audit=replace(context.params.audit, batch_size=64))
    again = audited(replace(context, params=other))
    assert again["views"]["only_border"]["forest"] == first["views"]["only_border"]["forest"]
    assert again["out_of_distribution"]["probes"]["inverted"] == first["out_of_distribution"]["probes"]["inverted"]


def test_one_source_is_not_checked(context: StageContext) -> None:
    found = audited(context)
    assert found["columns"] == {"source": None, "view": None}
    assert (
        "All images come from one source, so the source cannot give the class away." in found["verdict"]["not_checked"]
    )


def test_a_source_of_each_class_tells_the_class(context: StageContext) -> None:
    change_manifest(source=lambda rows: "from " + rows["label"])
    found = audited(context)
    assert found["columns"]["source"]["roc_auc_macro"] == 1.0
    assert found["columns"]["source"]["accuracy"] == 1.0
    assert set(found["columns"]["source"]["retained"]) == {"balanced_accuracy", "roc_auc"}
    assert not found["verdict"]["passed"]


def test_a_small_source_of_one_class_is_looked_up() -> None:
    labels = np.repeat(np.array(CLASSES, dtype=object), [40, 40, 4])
    rows = pd.DataFrame({"label": labels, "source": "from " + labels, "view": None})
    truth = np.repeat(np.arange(3), [40, 40, 4])
    groups = np.arange(len(rows)).astype(object)
    images = AuditImages(
        train=rows,
        test=rows,
        sample=Sample(truth=truth, groups=groups, confidence=0.95, replicates=100, seed=1),
        regions=Regions((0.1, 0.1, 0.9, 0.9), 0.1),
        batch_size=1,
        n_probes=1,
        device=torch.device("cpu"),
        seed=1,
    )
    figures = by_column(images, "source")
    assert figures is not None
    assert figures.balanced_accuracy == 1
    assert by_column(images, "view") is None


def test_a_look_up_counts_classes_alike_and_knows_nothing_of_new_values() -> None:
    known, labels = np.array([*"aabab"], dtype=object), np.array(["healthy"] * 3 + ["covid19"] * 2, dtype=object)
    found = looked_up(known, labels, np.array([*"abc"], dtype=object))  # a: 2 of 3 and 1 of 2, b: 1 of 3 and 1 of 2
    np.testing.assert_allclose(found, [[4 / 7, 0, 3 / 7], [2 / 5, 0, 3 / 5], [1 / 2, 0, 1 / 2]])


def test_a_test_split_without_a_class_has_nulls(context: StageContext) -> None:
    change_manifest(split=lambda rows: rows["split"].where(rows["label"] != "covid19", "train"))
    figures = audited(context)["views"]["as_is"]["network"]
    assert figures["roc_auc"]["covid19"] is None
    assert figures["roc_auc_macro"] is not None


def test_a_test_split_of_one_class_does_not_pass(context: StageContext) -> None:
    change_manifest(split=lambda rows: rows["split"].where(rows["label"] == "healthy", "train"))
    found = audited(context)
    assert found["views"]["as_is"]["network"]["roc_auc_macro"] is None
    assert found["verdict"]["findings"] == ["All test images are of one class: there is nothing to audit."]


def test_no_test_images_are_an_error(context: StageContext) -> None:
    change_manifest(split=lambda rows: pd.Series("train", index=rows.index))
    with pytest.raises(DataError, match=r"no test images: nothing to audit\. Raise data\.split\.test_fraction"):
        audit.run(context)


def test_shortcuts_that_the_data_offer_and_probes_that_go_unnoticed_are_remarked() -> None:
    truth = np.arange(30) % 3
    groups = np.array([f"p{i}" for i in truth], dtype=object)
    sample = Sample(truth=truth, groups=groups, confidence=0.95, replicates=100, seed=1)
    told, untold = view_figures(np.eye(3)[truth], sample), view_figures(np.full((30, 3), 1 / 3), sample)
    forest: dict[View, ViewFigures] = {"as_is": told, "lungs_masked": untold, "only_border": told}
    half = Detection(roc_auc=0.5, roc_auc_interval=None, flagged=Proportion(0.0, None, 3))
    whole = Detection(roc_auc=1.0, roc_auc_interval=None, flagged=Proportion(1.0, None, 3))
    assert audit.remarks(forest, {"noise": whole, "sideways": half}) == [
        (
            "A simple classifier predicts the class from the border of the images alone (mean ROC-AUC 1.00): the data "
            "offer this shortcut, whether or not the network uses it."
        ),
        (
            "Not reliably detected as out of distribution (in brackets ROC-AUC against X-rays, chance is 0.5): X-rays "
            "turned sideways (0.50)."
        ),
    ]
