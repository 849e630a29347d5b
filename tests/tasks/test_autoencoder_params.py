"""What the params of the autoencoders do in the stages: other networks, other training, weights from files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import save

from coronet_core.autoencoder.architecture import ARCHITECTURE_KEY, PAPER, Architecture, metadata_of
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.common.batches import as_image
from coronet_core.common.weights import read_metadata, read_weights, save_weights
from coronet_core.support.errors import WeightsError
from tasks.networks.trained_tfen import load_tfen, tfen_from
from tasks.package.package_folder import read_package, write_package
from tasks.report.plots.learning_curves import training_curves
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import PhantomPatients, PhantomSource
from tasks.runtime.params.schema import Params, PretrainedAutoencoders
from tasks.runtime.params.weights_files import use_full_paths
from tasks.runtime.paths import autoencoder_history, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tasks.train_autoencoder import stage as train_autoencoder
from tasks.train_autoencoder.stage import images_of
from tests.conftest import PARAMS
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = pytest.mark.usefixtures("without_mlflow")
NARROW = Architecture(adds_image=False, has_skips=False, latent_channels=2, finest_stride=4)
Train = Callable[..., None]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_split: Callable[[Params], None]) -> Train:
    """Trains AE_H on 4 phantoms for two epochs, with changed params."""
    monkeypatch.chdir(tmp_path)
    params = read_params(PARAMS)
    patients = PhantomPatients(healthy=6, pneumonia=6, covid19=6)
    source = PhantomSource(kind="phantom", patients=patients, images_per_patient_max=1)
    params = replace(params, device="cpu", data=replace(params.data, sources=[source]))
    place_split(params)

    def run(**changes: Any) -> None:
        settings = {"epochs": 2, "batch_size": 2, "precision": "fp32", **changes}
        changed = replace(params, autoencoder=replace(params.autoencoder, **settings))
        name = "train_autoencoder@healthy"
        train_autoencoder.run(StageContext(name=name, params=changed, tracking=StageRun(name, {})), "healthy")

    return run


def history() -> pd.DataFrame:
    return pd.read_csv(autoencoder_history("healthy"))


def test_the_papers_weights_and_history_have_nothing_new(train: Train) -> None:
    train()
    assert read_metadata(autoencoder_weights("healthy")) == {"training.precision": "fp32"}
    assert list(history()) == [
        "epoch",
        "training_loss",
        "training_reconstruction",
        "training_regulariser",
        "training_last_step_loss",
        "validation_loss",
        "validation_reconstruction",
    ]


def test_the_best_epoch_can_be_chosen_without_the_regulariser(train: Train) -> None:
    train(epochs=3, best_by="validation_reconstruction", regulariser_weight=1000.0)
    losses = history()
    assert losses["validation_reconstruction"].idxmin() != losses["validation_loss"].idxmin()
    save_weights(FPAE(), autoencoder_weights("pneumonia"))
    images = images_of("validation", "healthy", torch.device("cpu"))
    image = as_image(images.take(torch.arange(len(images))))
    kept = load_tfen(torch.device("cpu")).healthy(image).reconstruction
    assert float((kept - image).square().mean()) == pytest.approx(losses["validation_reconstruction"].min(), rel=1e-4)


def test_another_architecture_is_trained_and_built_again_from_its_file(train: Train) -> None:
    train(adds_image=False, skip_dropout=1.0, latent_channels=2, finest_stride=4)
    save_weights(FPAE(), autoencoder_weights("pneumonia"))
    tfen = load_tfen(torch.device("cpu"))
    assert (tfen.healthy.architecture, tfen.pneumonia.architecture) == (NARROW, PAPER)
    files = {label: autoencoder_weights(label).read_bytes() for label in ("healthy", "pneumonia")}
    image = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(tfen_from(files, torch.device("cpu"))(image), tfen(image), rtol=0, atol=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"noise": 0.1},
        pytest.param({"hidden_fraction": 0.5, "hidden_patch_px": 8}, marks=pytest.mark.slow),
        pytest.param({"skip_dropout": 0.5}, marks=pytest.mark.slow),
        pytest.param({"ssim_weight": 1.0}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_each_way_of_training_gives_other_weights_and_the_same_again(train: Train, changes: dict[str, float]) -> None:
    train()
    papers = read_weights(autoencoder_weights("healthy"))
    train(**changes)
    once = autoencoder_weights("healthy").read_bytes()
    assert not torch.equal(
        read_weights(autoencoder_weights("healthy"))["decoder.up.6.weight"], papers["decoder.up.6.weight"]
    )
    assert read_metadata(autoencoder_weights("healthy")) == {"training.precision": "fp32"}
    train(**changes)
    assert autoencoder_weights("healthy").read_bytes() == once


def test_ssim_is_in_the_history_if_it_has_a_weight(train: Train) -> None:
    train(ssim_weight=0.5)
    last = history().iloc[-1]
    terms = last["training_reconstruction"] + last["training_regulariser"] + 0.5 * last["training_dissimilarity"]
    assert last["training_loss"] == pytest.approx(terms, rel=1e-4)


def test_weights_of_a_file_are_taken_as_they_are_with_no_epochs(train: Train) -> None:
    given = FPAE()
    save_weights(given, Path("given.safetensors"))
    train(epochs=0, pretrained=PretrainedAutoencoders(healthy="given.safetensors", pneumonia="given.safetensors"))
    written = read_weights(autoencoder_weights("healthy"))
    assert all(torch.equal(written[key], value) for key, value in given.state_dict().items())
    (row,) = history().to_dict("records")
    assert row["epoch"] == 0
    assert row["validation_loss"] > 0
    assert pd.isna(row["training_loss"])
    drawing = training_curves("AE_H", history(), "validation_loss")
    assert "was not trained by epochs" in str(drawing)


def test_training_begins_with_the_weights_of_a_file(train: Train) -> None:
    train(epochs=6)
    autoencoder_weights("healthy").replace("given.safetensors")
    last = history()["validation_loss"].iloc[-1]
    given = PretrainedAutoencoders(healthy="given.safetensors", pneumonia="given.safetensors")
    train(epochs=1, learning_rate=1e-6, pretrained=given)
    assert history()["validation_loss"].iloc[0] == pytest.approx(last, rel=0.2)


def test_files_of_weights_get_their_full_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("h.pth").touch()
    named = {"healthy": "h.pth", "pneumonia": "gone.pth"}
    values: dict[str, Any] = {"cin": {"pretrained": "none"}, "autoencoder": {"pretrained": named}}
    use_full_paths(values)
    assert named == {"healthy": str(tmp_path / "h.pth"), "pneumonia": "gone.pth"}
    assert values["cin"]["pretrained"] == "none"
    use_full_paths({"cin": {"pretrained": "none"}, "autoencoder": {"pretrained": None}})
    use_full_paths({"cin": {"pretrained": "none"}, "autoencoder": {}})


def narrow(metadata: dict[str, str]) -> bytes:
    return save(FPAE("pyramid", NARROW).state_dict(), metadata)


def test_a_package_carries_the_architecture(tmp_path: Path) -> None:
    weights = narrow(metadata_of(NARROW))
    model = replace(untrained_model(), autoencoders={"healthy": weights, "pneumonia": weights})
    write_package(tmp_path / "coronet", model, CARD, some_lineage())
    assert read_package(tmp_path / "coronet") == model


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({}, "autoencoder_healthy.safetensors: .* expected"),
        ({ARCHITECTURE_KEY: "{"}, "autoencoder_healthy.safetensors: autoencoder.architecture"),
        ({ARCHITECTURE_KEY: json.dumps({"latent_channels": 10**9})}, "latent_channels must be a whole number"),
        ({ARCHITECTURE_KEY: json.dumps({"latent_channels": 3})}, "autoencoder_healthy.safetensors: .* expected"),
    ],
    ids=["none", "no JSON", "huge", "another"],
)
def test_a_package_whose_metadata_do_not_fit_its_weights_is_refused(
    tmp_path: Path, metadata: dict[str, str], fault: str
) -> None:
    weights = {"healthy": narrow(metadata), "pneumonia": save(FPAE().state_dict())}
    with pytest.raises(WeightsError, match=fault):
        write_package(tmp_path / "coronet", replace(untrained_model(), autoencoders=weights), CARD, some_lineage())  # type: ignore[arg-type]
