"""Answers for files, against what the stages say of the same images."""

import io
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from coronet_core.classifier.architectures import build_cin
from coronet_core.classifier.cin_design import CinDesign
from coronet_core.common.classes import CLASSES
from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from tasks.build_split import stage as build_split
from tasks.build_split.sources import list_images
from tasks.calibrate import stage as calibrate
from tasks.calibrate.calibration_file import read_calibration
from tasks.evaluate import stage as evaluate
from tasks.inference.input.image_file import FileContent
from tasks.inference.predictor import predict_files
from tasks.materialize_residuals import stage as materialize_residuals
from tasks.package.prediction_schema import SCHEMA, with_reasons
from tasks.package.trained_model import TrainedModel
from tasks.runtime.paths import CIN_WEIGHTS, IMAGE_NAMES, PREDICTIONS, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tests.tasks.finished_run import small_params

CPU = torch.device("cpu")
NUMBERS = [f"{kind}_{label}" for kind in ("logit", "probability", "calibrated") for label in CLASSES] + ["ood_score"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run as far as `evaluate` with networks that have learnt nothing: model, files' bytes by name, predictions."""
    from coronet_core.autoencoder.fpae import FPAE
    from coronet_core.common.weights import save_weights

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        patch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
        torch.manual_seed(0)
        Path("data/raw").mkdir(parents=True)
        params = small_params()
        contexts = {
            stage: StageContext(name=stage.__name__.rpartition(".")[2], params=params, tracking=StageRun("x", {}))
            for stage in (build_split, materialize_residuals, calibrate, evaluate)
        }
        build_split.run(contexts.pop(build_split))
        for label in ("healthy", "pneumonia"):
            save_weights(FPAE(), autoencoder_weights(label))
        save_weights(build_cin(), CIN_WEIGHTS)
        for stage, context in contexts.items():
            stage.run(context)
        model = TrainedModel(
            image_size_px=params.data.image_size_px,
            aspect=params.data.aspect,
            reading=params.data.reading,
            residuals=params.residuals,
            cin_input=params.cin.input,
            batch_size=params.evaluate.batch_size,
            autoencoders={
                "healthy": autoencoder_weights("healthy").read_bytes(),
                "pneumonia": autoencoder_weights("pneumonia").read_bytes(),
            },
            cin=CIN_WEIGHTS.read_bytes(),
            calibration=read_calibration(),
        )
        contents = {record.name: record.read() for record in list_images(params.data, params.seed).records}
        names = pd.read_csv(IMAGE_NAMES).set_index("image_id")["name"]
        predictions = pd.read_parquet(PREDICTIONS)
        yield model, contents, predictions.assign(name=names.loc[predictions["image_id"]].to_numpy())


def bomb() -> bytes:
    """A PNG of some kilobytes that would take 81 million pixels."""
    buffer = io.BytesIO()
    Image.new("1", (9000, 9001)).save(buffer, "PNG")
    return buffer.getvalue()


def predicted(model: TrainedModel, contents: Mapping[str, bytes]) -> pd.DataFrame:
    files = [FileContent(name, content) for name, content in contents.items()]
    table: pd.DataFrame = predict_files(files, model, CPU).to_pandas()
    return table


def test_a_test_image_s_file_gets_the_answer_of_evaluate(run: Any) -> None:
    model, contents, expected = run
    found = predicted(model, contents).set_index("path").loc[expected["name"]]
    assert len(expected) > 3
    np.testing.assert_allclose(found[NUMBERS].to_numpy(float), expected[NUMBERS].to_numpy(float), rtol=1e-4, atol=1e-6)
    for column in ("predicted", "abstained"):
        assert list(found[column]) == list(expected[column])
    assert [list(held) for held in found["prediction_set"]] == [list(held) for held in expected["prediction_set"]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"not an image", "not an image"),
        (b"P5 96 96 255\n" + bytes(20), "truncated"),
        (bomb(), "decompression bomb"),
    ],
)
def test_a_bad_file_becomes_a_row_with_its_reason_and_the_others_are_answered(
    run: Any, content: bytes, reason: str
) -> None:
    model, contents, _ = run
    good = dict(list(contents.items())[:3])
    first, *others = good.items()
    found = predicted(model, dict([first, ("bad.png", content), *others]))
    assert list(found["path"]) == [first[0], "bad.png", *dict(others)]
    assert reason in found["error"][1]
    assert found.loc[1].drop(["path", "error"]).isna().all()
    alone = predicted(model, good)
    assert found.drop(index=1)["predicted"].tolist() == alone["predicted"].tolist()
    np.testing.assert_array_equal(found.drop(index=1)[NUMBERS].to_numpy(float), alone[NUMBERS].to_numpy(float))


def test_a_file_that_takes_too_much_memory_is_refused_and_the_others_are_answered(run: Any) -> None:
    model, contents, _ = run
    large = io.BytesIO()
    Image.radial_gradient("L").resize((7000, 7000)).save(large, "PNG", compress_level=1)
    (name, content), *_ = contents.items()
    files = [FileContent("large.png", large.getvalue()), FileContent(name, content)]
    with Decoders(memory_bytes=40 * 2**20) as decoders:
        found = predict_files(files, model, CPU, decoders.decode)
    assert found["error"].to_pylist() == ["takes too much memory to decode", None]
    assert predict_files(files[:1], model, CPU)["error"].to_pylist() == [None]


def test_bad_files_alone_are_rows_of_the_same_table(run: Any) -> None:
    model, _, _ = run
    table = predict_files([FileContent("bad.png", b"")], model, CPU)
    assert table.schema.equals(SCHEMA)
    assert table["error"].to_pylist() == ["empty file"]


def test_networks_that_differ_say_by_how_much(run: Any) -> None:
    model, content, _ = run
    design = CinDesign(members=2)
    cin = design.build().eval()
    with torch.no_grad():
        cin.members[0].network.fc.bias += torch.tensor([30.0, 0.0, 0.0])
        cin.members[1].network.fc.bias += torch.tensor([0.0, 30.0, 0.0])
    several = replace(model, cin=save(cin.state_dict(), design.to_metadata()))
    files = [FileContent(name, content[name]) for name in list(content)[:2]]
    one = predict_files(files, model, CPU).to_pylist()
    rows = predict_files(files, several, CPU).to_pylist()
    assert [row["disagreement"] for row in one] == [None, None]
    assert [row["disagreement"] for row in rows] == pytest.approx([math.log(2)] * 2, abs=1e-3)  # each sure of a class


def test_networks_without_a_finite_answer_say_so_instead_of_a_class(run: Any) -> None:
    from safetensors.torch import load

    model, contents, _ = run
    broken = load(model.cin)
    broken["bn1.running_var"] = -torch.ones_like(broken["bn1.running_var"])  # finite weights, of which it has a root
    found = predicted(replace(model, cin=save(broken)), dict(list(contents.items())[:1]))
    assert found["error"].tolist() == ["the network's output is not finite"]
    assert found["predicted"].isna().all()


def test_an_abstention_names_the_classes_that_it_cannot_tell_apart(run: Any) -> None:
    model, _, _ = run
    answers = pd.DataFrame(
        {
            "prediction_set": [["healthy"], [], ["healthy", "covid19"], list(CLASSES)],
            "abstained": [False, True, True, True],
            "ood_score": [0.0, 0.0, 0.0, 1e9],
        }
    )
    told = with_reasons(answers, model.calibration)
    assert told["abstained_because"].tolist() == [
        None,
        "no class is probable enough",
        "cannot tell Healthy and COVID-19 apart",
        "cannot tell Healthy, non-COVID Pneumonia and COVID-19 apart",
    ]
    assert told["out_of_distribution"].tolist() == [False, False, False, True]


def test_the_model_s_digest_tells_other_weights_and_other_preprocessing(run: Any) -> None:
    model, _, _ = run
    others = [replace(model, cin=model.cin[::-1]), replace(model, image_size_px=72), replace(model, batch_size=3)]
    assert len({one.digest for one in (model, *others)}) == 4
