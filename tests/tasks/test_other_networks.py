"""Networks other than the paper's ResNet-18, untrained, through what is behind `train_cin`: stages, package, export."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from safetensors.torch import load

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.cin_design import CinDesign
from coronet_core.common.classes import CLASSES
from coronet_core.common.shards import Shards
from coronet_core.common.weights import save_weights
from tasks.audit import stage as audit
from tasks.calibrate import stage as calibrate
from tasks.evaluate import stage as evaluate
from tasks.explain import stage as explain
from tasks.export import export_model
from tasks.export.export_options import ExportOrder, Number, Pixels, Target
from tasks.export.exported_network import OUTPUTS
from tasks.inference.predictor import Networks
from tasks.materialize_residuals import stage as materialize_residuals
from tasks.package.package_folder import read_package, write_package
from tasks.runtime.files import read_json
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import AUDIT, CIN_WEIGHTS, EXPLANATION_MEASURES, IMAGES, PREDICTIONS, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tests.tasks.finished_run import model_of_run, small_params
from tests.tasks.trained_model import CARD, some_lineage

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("without_mlflow")]

DESIGNS = {
    "densenet121": CinDesign(architecture="densenet121"),
    "convnext_tiny": CinDesign(architecture="convnext_tiny", input="image"),
    "as params/xray.yaml": CinDesign(
        input="residual_tensor_and_image", fusion="networks", head_input="middle_blocks", average_flips=True
    ),
}


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_split: Callable[[Params], None]) -> StageContext:
    """A project with residual tensors of untrained autoencoders."""
    monkeypatch.chdir(tmp_path)
    params = small_params()
    place_split(params)
    for label in ("healthy", "pneumonia"):
        save_weights(FPAE(), autoencoder_weights(label))
    context = StageContext(name="materialize_residuals", params=params, tracking=StageRun("test", {}))
    materialize_residuals.run(context)
    return context


@pytest.mark.parametrize("name", DESIGNS)
def test_stages_package_and_export_take_the_network_that_the_weights_name(context: StageContext, name: str) -> None:
    design = DESIGNS[name]
    save_weights(design.build(), CIN_WEIGHTS, design.to_metadata())
    params = replace(context.params, cin=replace(context.params.cin, input=design.input))
    for stage in (calibrate, evaluate, audit, explain):
        stage.run(replace(context, name=stage.__name__.split(".")[1], params=params))
    assert read_json(AUDIT)["verdict"]["passed"] is False  # it has learnt nothing
    assert read_json(EXPLANATION_MEASURES)["methods"]["grad_cam"]["deletion_auc"] is not None

    evaluated = pd.read_parquet(PREDICTIONS)
    expected = evaluated[[f"calibrated_{label}" for label in CLASSES]].to_numpy()
    pixels = Shards.in_folder(IMAGES).take(evaluated["stack_row"].to_numpy())
    write_package(Path("package"), model_of_run(params), CARD, some_lineage())
    packaged = read_package(Path("package"))
    assert load(packaged.cin).keys() == design.build().state_dict().keys()
    outputs = Networks.of(packaged, torch.device("cpu")).predict(pixels)
    np.testing.assert_allclose(outputs.logits, evaluated[[f"logit_{label}" for label in CLASSES]], atol=1e-3)
    assert (outputs.disagreement is None) == (design.fusion == "planes")

    export_model.export(
        "package", ExportOrder(target=Target.ONNX, number=Number.FP32, pixels=Pixels.UINT8, out=Path("network.onnx"))
    )
    session = onnxruntime.InferenceSession("network.onnx", providers=["CPUExecutionProvider"])
    found = dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"image": pixels[:, None]}), strict=True))
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-3)
