"""Exported files, run by those who run such files, against the network that they came from."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load, save

from benchmarks.untrained import untrained_model
from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.cin_design import CinDesign
from coronet_core.common.classes import CLASSES
from coronet_core.common.literals import CinInput
from coronet_core.metrics.out_of_distribution import EnergyReference
from coronet_core.support.errors import CoroNetError
from tasks.build_split import stage as build_split
from tasks.export import export_model as exporting
from tasks.export import export_options as options
from tasks.export.export_options import ExportOrder, Number, Pixels, Target
from tasks.export.exported_network import OUTPUTS, WholeNetwork
from tasks.inference.input.image_file import FileContent
from tasks.inference.predictor import predict_files
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.schema import ResidualParams
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tests.tasks.finished_run import small_params

SIDE_PX = 64


def model_of(kind: CinInput) -> TrainedModel:
    """A model of random weights, its batch norms' statistics as after training: not the initial ones."""
    model = untrained_model(SIDE_PX, ResidualParams(precision="fp32", batch_size=8, shard_images=64))
    autoencoders = {label: save(state_of(FPAE())) for label in model.autoencoders}
    return replace(model, cin_input=kind, autoencoders=autoencoders, cin=save(state_of(build_cin(kind))))


def state_of(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.uniform_(-0.1, 0.1)
        elif key.endswith("running_var"):
            value.uniform_(0.5, 2)
    return state


def images(n: int) -> NDArray[np.uint8]:
    """(n, 1, H, W)."""
    return np.random.default_rng(0).integers(0, 256, (n, 1, SIDE_PX, SIDE_PX), dtype=np.uint8)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that gives `export` a model, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def give(model: TrainedModel) -> TrainedModel:
        monkeypatch.setattr(exporting, "load_model", lambda _: model)
        return model

    return give


def order(
    name: str, number: Number = Number.FP32, pixels: Pixels = Pixels.FLOAT32, target: Target = Target.ONNX
) -> ExportOrder:
    return ExportOrder(target=target, number=number, pixels=pixels, out=Path(name))


def run_onnx(path: str, image: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUTS, session.run(list(OUTPUTS), {"image": image}), strict=True))


@pytest.mark.parametrize(
    ("kind", "pixels"),
    [
        ("residual_tensor", Pixels.UINT8),
        pytest.param("image", Pixels.FLOAT32, marks=pytest.mark.slow),
        pytest.param("residual_tensor_and_image", Pixels.FLOAT32, marks=pytest.mark.slow),
    ],
)
def test_onnxruntime_gives_the_probabilities_of_predict_for_any_number_of_images(
    given: Any, kind: CinInput, pixels: Pixels
) -> None:
    model = given(model_of(kind))
    exporting.export(None, order("whole.onnx", pixels=pixels))
    for n in (1, 5):
        image = images(n) if pixels is Pixels.UINT8 else images(n).astype(np.float32) / np.float32(255)
        found = run_onnx("whole.onnx", image)
        files = [FileContent(f"{i}", png(pixels_of[0])) for i, pixels_of in enumerate(images(n))]
        rows = predict_files(files, model, torch.device("cpu")).to_pandas()
        expected = rows[[f"calibrated_{label}" for label in CLASSES]].to_numpy(float)
        np.testing.assert_allclose(found["probabilities"], expected, atol=1e-4)


@pytest.mark.slow
def test_a_head_on_middle_blocks_and_averaged_flips_are_exported(given: Any) -> None:
    design = CinDesign(head_input="middle_blocks", average_flips=True)
    model = given(replace(model_of("residual_tensor"), cin=save(state_of(design.build()), design.to_metadata())))
    exporting.export(None, order("blocks.onnx", pixels=Pixels.UINT8))
    found = run_onnx("blocks.onnx", images(2))
    rows = predict_files([FileContent("0", png(images(2)[0][0]))], model, torch.device("cpu")).to_pandas()
    expected = rows[[f"calibrated_{label}" for label in CLASSES]].to_numpy(float)
    np.testing.assert_allclose(found["probabilities"][:1], expected, atol=1e-4)


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.slow
def test_a_torch_program_loaded_without_our_classes_answers_as_the_network(given: Any) -> None:
    model = given(model_of("residual_tensor"))
    exporting.export(None, order("whole.pt2", pixels=Pixels.UINT8, target=Target.TORCH))
    image = torch.from_numpy(images(3))
    extra = {"metadata.json": ""}
    found = torch.export.load("whole.pt2", extra_files=extra).module()(image)
    expected = WholeNetwork(model)(image)
    for name in OUTPUTS:
        torch.testing.assert_close(found[name], expected[name])
    assert json.loads(extra["metadata.json"])["classes"] == json.dumps(CLASSES)


@pytest.mark.slow
def test_half_precision_halves_the_file_and_its_loss_is_told_beside_it(given: Any) -> None:
    given(model_of("residual_tensor"))
    told = exporting.export(None, order("half.onnx", Number.FP16))
    assert told["file_bytes"] == Path("half.onnx").stat().st_size < 0.6 * told["fp32_weights_bytes"]
    assert 0 < told["loss"]["largest_difference"] < 0.05
    assert told["loss"]["origin"] == "phantoms"
    assert json.loads(Path("half.onnx.json").read_text()) == told


def test_the_file_says_what_a_reader_of_its_answers_needs(given: Any) -> None:
    model = given(model_of("residual_tensor"))
    exporting.export(None, order("whole.onnx"))
    found = {entry.key: entry.value for entry in onnx.load("whole.onnx").metadata_props}
    assert json.loads(found["classes"]) == list(CLASSES)
    assert (found["image_size_px"], float(found["temperature"])) == ("64", 1.5)
    assert (json.loads(found["conformal_quantile"]), json.loads(found["covid19_threshold"])) == (0.8, 0.5)
    assert EnergyReference.from_dict(json.loads(found["energy_reference"])) == model.calibration.energies
    assert found["notice"].startswith("Research software, not a medical device")


@pytest.fixture
def split(given: Any) -> None:
    """A project that has run `build_split`, and a model for its images."""
    Path("data/raw").mkdir(parents=True)
    build_split.run(StageContext(name="build_split", params=small_params(), tracking=StageRun("build_split", {})))
    given(model_of("residual_tensor"))


@pytest.mark.slow
@pytest.mark.usefixtures("without_mlflow", "split")
def test_int8_is_scaled_by_validation_images_and_measured_on_test_images() -> None:
    told = exporting.export(None, order("small.onnx", Number.INT8))
    assert told["file_bytes"] < 0.3 * told["fp32_weights_bytes"]
    assert told["loss"]["origin"] == "test images of this project"
    assert 0 < told["loss"]["largest_difference"] < 0.2
    assert told["loss"]["accuracy"] is not None
    nodes = onnx.load("small.onnx").graph.node
    assert any(node.op_type == "QuantizeLinear" for node in nodes)


@pytest.mark.slow
@pytest.mark.usefixtures("without_mlflow", "split")
def test_a_cin_that_averages_flips_is_in_int8_too(given: Any) -> None:
    """Each of its two passes has weights of its own in the file, whose names begin otherwise."""
    design = CinDesign(average_flips=True)
    given(replace(model_of("residual_tensor"), cin=save(state_of(design.build()), design.to_metadata())))
    told = exporting.export(None, order("small.onnx", Number.INT8))
    assert told["file_bytes"] < 0.6 * told["fp32_weights_bytes"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (order("x.pt2", Number.INT8, target=Target.TORCH), "int8 is supported for ONNX only"),
        (order("x.pt2"), "must end in .onnx"),
        (order("folder.onnx"), "a folder"),
        pytest.param(
            order("x.onnx", Number.INT8),
            "needs validation images of 64 px to set its ranges",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_cannot_be_written_is_refused_with_the_reason(given: Any, wrong: ExportOrder, message: str) -> None:
    given(model_of("residual_tensor"))
    Path("folder.onnx").mkdir()
    with pytest.raises(CoroNetError, match=message):
        exporting.export(None, wrong)
    assert [path.name for path in Path().iterdir()] == ["folder.onnx"]


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(CoroNetError, match=r"needs onnxscript.*coronet\[export\]' -c constraints\.txt"):
        exporting.export(None, order("x.onnx"))


@pytest.mark.slow
def test_a_file_that_does_not_answer_as_the_network_is_not_left_behind(given: Any) -> None:
    model = given(model_of("residual_tensor"))
    broken = {key: -value if key == "bn1.running_var" else value for key, value in load(model.cin).items()}
    given(replace(model, cin=save(broken)))
    with pytest.raises(CoroNetError, match="not written"):
        exporting.export(None, order("x.pt2", target=Target.TORCH))
    assert not any(Path().iterdir())
