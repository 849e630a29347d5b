"""The stage train_cin with the options beyond the paper's: members, folds, fusion, augmentation, and their resuming."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.ensemble import Ensemble
from coronet_core.common.manifest import read_manifest
from coronet_core.common.weights import read_metadata, save_weights
from coronet_core.support.errors import DataError
from tasks.calibrate.cin_outputs import predict_split
from tasks.explain.grad_cam import grad_cam_maps
from tasks.materialize_residuals import stage as materialize_residuals
from tasks.networks.residual_index import read_residual_index
from tasks.networks.trained_cin import load_cin, load_coronet, read_design
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import PhantomPatients, PhantomSource
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import CIN_HISTORY, CIN_WEIGHTS, MANIFEST, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tasks.train_cin import stage as train_cin
from tasks.train_cin.member_folds import fold_of_groups, images_of_members
from tasks.training import training_run
from tests.conftest import PARAMS

CPU = torch.device("cpu")
pytestmark = pytest.mark.usefixtures("without_mlflow")


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_split: Callable[[Params], None]
) -> Callable[..., StageContext]:
    """A project with a split of 24 phantoms and their residual tensors; the function takes params of the CIN."""
    monkeypatch.chdir(tmp_path)
    params = read_params(PARAMS)
    source = PhantomSource(
        kind="phantom", patients=PhantomPatients(healthy=8, pneumonia=8, covid19=8), images_per_patient_max=1
    )
    params = replace(params, data=replace(params.data, sources=[source]))
    context = StageContext(name="train_cin", params=params, tracking=StageRun("train_cin", {}))
    place_split(params)
    for label in ("healthy", "pneumonia"):
        save_weights(FPAE(), autoencoder_weights(label))
    materialize_residuals.run(context)

    def with_cin(**changes: Any) -> StageContext:
        cin = replace(params.cin, **{"epochs": 1, "batch_size": 8, "precision": "fp32"} | changes)
        return replace(context, params=replace(params, cin=cin))

    return with_cin


def test_members_are_one_cin_for_all_stages_behind(project: Callable[..., StageContext]) -> None:
    context = project(input="residual_tensor_and_image", fusion="networks", members=2, average_flips=True)
    train_cin.run(context)
    cin = load_cin("residual_tensor_and_image", CPU)
    assert isinstance(cin, Ensemble)
    assert len(cin.members) == 4
    first, second = cin.members[1].network, cin.members[3].network  # of the residual tensor, from two seeds
    assert not torch.equal(first.get_submodule("fc").weight, second.get_submodule("fc").weight)
    history = pd.read_csv(CIN_HISTORY)
    assert history["network"].tolist() == [1, 2, 3, 4]
    predictions = predict_split(context, "validation")
    assert predictions.probabilities().sum(axis=1) == pytest.approx(1)
    coronet = load_coronet("residual_tensor_and_image", CPU)
    assert coronet(torch.rand(2, 1, 64, 64)).probabilities.shape == (2, 3)


def test_one_network_is_written_as_before(project: Callable[..., StageContext]) -> None:
    train_cin.run(project())
    assert read_design("residual_tensor").is_one_network
    assert "network" not in pd.read_csv(CIN_HISTORY)
    assert set(read_metadata(CIN_WEIGHTS)) == {"training.precision", "cin.design"}


@pytest.mark.slow
def test_a_stopped_member_goes_on_where_it_was(
    project: Callable[..., StageContext], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = project(members=2, epochs=2, fine_tune="last_block", head_start="logistic_regression", keep="average")
    train_cin.run(context)
    undisturbed = CIN_WEIGHTS.read_bytes()
    CIN_WEIGHTS.unlink()
    saved: list[Path] = []
    save = training_run.save_checkpoint

    def stopping(folder: Path, end: Any) -> None:
        save(folder, end)
        saved.append(folder)
        if len(saved) == 5:  # the second member's first epoch, behind its start
            raise KeyboardInterrupt

    with monkeypatch.context() as until_then:
        until_then.setattr(training_run, "save_checkpoint", stopping)
        with pytest.raises(KeyboardInterrupt):
            train_cin.run(context)
    assert not CIN_WEIGHTS.exists()
    capsys.readouterr()
    train_cin.run(context)
    output = capsys.readouterr().out
    assert "network 1 of 2, resuming after epoch 2 of 2" in output
    assert "network 2 of 2, resuming after epoch 1 of 2" in output
    assert CIN_WEIGHTS.read_bytes() == undisturbed


def test_augmented_images_go_through_the_autoencoders(project: Callable[..., StageContext]) -> None:
    context = project()
    train_cin.run(context)
    plain = load_cin("residual_tensor", CPU).get_submodule("conv1").weight
    augmentation = replace(context.params.cin.augmentation, rotation_degrees=10.0)
    train_cin.run(project(augmentation=augmentation))
    assert not torch.equal(load_cin("residual_tensor", CPU).get_submodule("conv1").weight, plain)


def test_a_frozen_backbone_with_a_fitted_head_needs_no_epoch(project: Callable[..., StageContext]) -> None:
    train_cin.run(project(epochs=0, fine_tune="head", head_start="logistic_regression", best_by="validation_roc_auc"))
    (row,) = pd.read_csv(CIN_HISTORY).to_dict("records")
    assert row["epoch"] == 0
    assert row["validation_loss"] > 0


def test_stages_behind_read_a_head_on_middle_blocks(project: Callable[..., StageContext]) -> None:
    train_cin.run(project(epochs=0, fine_tune="head", head_input="middle_blocks", head_start="logistic_regression"))
    coronet = load_coronet("residual_tensor", CPU)
    assert coronet.cin.get_submodule("head").weight.shape == (3, 128 + 256)
    image = torch.rand(3, 1, 64, 64)
    assert grad_cam_maps(coronet, image, torch.tensor([0, 1, 2])).max() > 0
    program = torch.export.export(coronet, (image,))
    torch.testing.assert_close(program.module()(image).probabilities, coronet(image).probabilities)


def test_each_member_leaves_out_its_own_patients(project: Callable[..., StageContext]) -> None:
    context = project(members=3, member_images="folds")
    index = read_residual_index()
    images = images_of_members(index, context.params.cin, seed=0)
    group = read_manifest(MANIFEST)["patient_group"]
    training = set(index.index[index["split"] == "train"])
    assert sorted(row for _, validation in images for row in validation.index) == sorted(training)
    for kept, left_out in images:
        assert set(kept.index) | set(left_out.index) == training
        assert not set(group[kept.index]) & set(group[left_out.index])
        assert left_out["label"].nunique() == 3


def test_more_folds_than_the_patients_of_a_class_allow_are_refused(project: Callable[..., StageContext]) -> None:
    context = project(members=60, member_images="folds")
    with pytest.raises(DataError, match=r"cin\.members = 60: too few training patients for so many folds"):
        images_of_members(read_residual_index(), context.params.cin, seed=0)


def test_folds_keep_patients_whole_and_classes_even() -> None:
    groups = pd.Series([f"p{n // 2}" for n in range(60)])
    labels = pd.Series(["healthy", "healthy", "pneumonia", "pneumonia", "covid19", "covid19"] * 10)
    fold = fold_of_groups(groups, labels, 5, seed=0)
    assert pd.crosstab(groups, fold).gt(0).sum(axis=1).eq(1).all()
    assert pd.crosstab(labels, fold).eq(4).all(axis=None)
    assert not fold.equals(fold_of_groups(groups, labels, 5, seed=1))


def test_an_area_needs_images_of_all_classes(project: Callable[..., StageContext]) -> None:
    context = project(best_by="validation_roc_auc")
    index = read_residual_index()
    only_two = index[(index["split"] == "train") | (index["label"] != "covid19")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_cin, "read_residual_index", lambda: only_two)
        with pytest.raises(DataError, match="a class has no validation images"):
            train_cin.run(context)
