"""residuals.scale: the same tensors wherever the CIN reads them, and energies that it does not change."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.autoencoder.residual_scale import ResidualScale
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.literals import ResidualScaling
from coronet_core.common.shards import Shards
from coronet_core.common.weights import read_metadata, save_weights
from coronet_core.support.errors import DamagedFileError, DataError, WeightsError
from tasks.export.exported_network import WholeNetwork
from tasks.inference.predictor import Networks
from tasks.materialize_residuals import stage as materialize_residuals
from tasks.networks.residual_index import ENERGY_COLUMNS, read_residual_index
from tasks.networks.trained_tfen import load_scale, load_tfen
from tasks.package.metadata import SCALE
from tasks.package.package_folder import read_package, write_package
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import PhantomPatients, PhantomSource
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import IMAGES, RESIDUAL_SCALE, RESIDUALS, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tests.conftest import PARAMS
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = pytest.mark.usefixtures("without_mlflow")
CPU = torch.device("cpu")
KINDS: tuple[ResidualScaling, ...] = ("standardised", "z_map")
Materialize = Callable[[ResidualScaling], NDArray[np.float32]]


@pytest.fixture
def materialize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_split: Callable[[Params], None]) -> Materialize:
    """Makes the residual tensors of 18 phantoms with a scale, and returns them."""
    monkeypatch.chdir(tmp_path)
    params = read_params(PARAMS)
    patients = PhantomPatients(healthy=6, pneumonia=6, covid19=6)
    source = PhantomSource(kind="phantom", patients=patients, images_per_patient_max=1)
    params = replace(params, device="cpu", data=replace(params.data, sources=[source]))
    context = StageContext(name="materialize_residuals", params=params, tracking=StageRun("stage", {}))
    place_split(params)
    torch.manual_seed(1)
    for label in ("healthy", "pneumonia"):
        save_weights(FPAE(), autoencoder_weights(label))

    def run(kind: ResidualScaling) -> NDArray[np.float32]:
        residuals = replace(params.residuals, scale=kind, shard_images=5)
        materialize_residuals.run(replace(context, params=replace(params, residuals=residuals)))
        stack = Shards.in_folder(RESIDUALS)
        return stack.take(np.arange(len(stack), dtype=np.int64)).astype(np.float32)

    return run


def model_of(kind: ResidualScaling) -> TrainedModel:
    model = untrained_model()
    torch.manual_seed(2)
    return replace(
        model,
        residuals=replace(model.residuals, scale=kind),
        residual_scale=RESIDUAL_SCALE.read_bytes(),
        autoencoders={
            "healthy": autoencoder_weights("healthy").read_bytes(),
            "pneumonia": autoencoder_weights("pneumonia").read_bytes(),
        },
        cin=save(build_cin().state_dict()),
    )


def test_without_a_scale_nothing_is_new_but_the_file_that_says_so(materialize: Materialize) -> None:
    residuals = materialize("none")
    index = read_residual_index()
    assert list(index) == ["image_id", "patient_id", "label", "split", *ENERGY_COLUMNS]
    np.testing.assert_allclose(residuals.mean(axis=(2, 3)), index[ENERGY_COLUMNS], rtol=1e-4)
    assert read_metadata(RESIDUAL_SCALE) == {"residuals.scale": "none"}
    assert load_tfen(CPU).scale is None


def test_standardised_residuals_are_standardised_over_the_training_split(materialize: Materialize) -> None:
    residuals = materialize("standardised")[np.flatnonzero(read_residual_index()["split"] == "train")]
    np.testing.assert_allclose(residuals.mean(axis=(0, 2, 3)), 0, atol=5e-3)
    np.testing.assert_allclose(residuals.std(axis=(0, 2, 3)), 1, atol=5e-3)


def test_a_z_map_is_about_1_on_healthy_validation_images(materialize: Materialize) -> None:
    index_of = materialize("z_map")
    index = read_residual_index()
    chosen = (index["split"] == "validation") & (index["label"] == "healthy")
    assert index_of[np.flatnonzero(chosen)].mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_energies_do_not_depend_on_the_scale_but_later_stages_see_another_index(
    materialize: Materialize, kind: ResidualScaling
) -> None:
    materialize("none")
    plain = read_residual_index()
    materialize(kind)
    scaled = read_residual_index()
    pd.testing.assert_frame_equal(scaled[list(plain)], plain)
    assert len(set(scaled["scale"])) == 1


@pytest.mark.parametrize("kind", [pytest.param("standardised", marks=pytest.mark.slow), "z_map"])
def test_predictions_export_and_explanations_read_what_is_stored(
    materialize: Materialize, kind: ResidualScaling
) -> None:
    stored = materialize(kind)
    model = model_of(kind)
    networks = Networks.of(model, CPU)
    images = Shards.in_folder(IMAGES).take(np.arange(len(stored), dtype=np.int64))
    with torch.inference_mode():
        expected = networks.cin(torch.from_numpy(stored)).double().numpy()
        predicted, energies, _ = networks.predict(images)
        image = torch.from_numpy(images)[:, None].float() / 255
        exported = WholeNetwork(model)(image)
        explained = load_tfen(CPU)(image)
    np.testing.assert_allclose(predicted, expected, atol=1e-4)
    np.testing.assert_allclose(exported["logits"].numpy(), expected, atol=2e-2)
    np.testing.assert_allclose(energies, read_residual_index()[ENERGY_COLUMNS], rtol=1e-3)
    np.testing.assert_allclose(exported["energies"].numpy(), energies, rtol=1e-3)
    np.testing.assert_allclose(explained.numpy(), stored, atol=2e-2, rtol=2e-2)


def test_a_package_carries_the_scale(materialize: Materialize, tmp_path: Path) -> None:
    materialize("z_map")
    model = model_of("z_map")
    write_package(tmp_path / "coronet", model, CARD, some_lineage())
    assert (tmp_path / "coronet" / SCALE).is_file()
    assert read_package(tmp_path / "coronet") == model
    assert model.digest != replace(model, residual_scale=None).digest
    (tmp_path / "coronet" / SCALE).unlink()
    with pytest.raises(DataError, match=r"residual_scale\.safetensors: missing"):
        read_package(tmp_path / "coronet")


@pytest.mark.parametrize(
    ("scale", "fault"),
    [
        (None, r"residual_scale\.safetensors: missing, but residuals\.scale is z_map"),
        (b"no weights", r"residual_scale\.safetensors: damaged or not a weights file"),
        (save({"unit": torch.ones(3, 1, 1)}), "its tensors must be offset and unit"),
        (save(ResidualScale(torch.zeros(3, 1, 1), torch.ones(3, 8, 8)).state_dict()), r"unit is float32 \[3, 8, 8\]"),
    ],
    ids=["missing", "damaged", "incomplete", "of other images"],
)
def test_a_package_with_a_scale_that_does_not_fit_is_refused(tmp_path: Path, scale: bytes | None, fault: str) -> None:
    model = untrained_model()
    model = replace(model, residuals=replace(model.residuals, scale="z_map"), residual_scale=scale)
    with pytest.raises((DataError, WeightsError), match=fault):
        write_package(tmp_path / "coronet", model, CARD, some_lineage())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    monkeypatch.chdir(tmp_path)
    save_weights(ResidualScale(torch.zeros(3, 1, 1), torch.ones(3, 8, 8)), RESIDUAL_SCALE, {"residuals.scale": "z_map"})
    content = RESIDUAL_SCALE.read_bytes()
    RESIDUAL_SCALE.write_bytes(content[: int(share * len(content))])
    with pytest.raises((DamagedFileError, WeightsError), match=r"^models/residual_scale\.safetensors: ") as caught:
        load_scale()
    assert "\n" not in str(caught.value)


def test_a_models_digest_is_that_from_before_there_were_scales() -> None:
    assert "scale" not in repr(untrained_model().residuals)
