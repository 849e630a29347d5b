"""Drift of a model's predictions: phantoms drawn as before, and phantoms exposed otherwise."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.common.classes import CLASSES
from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError, ParamsError
from tasks.calibrate.calibration_file import MAX_IMAGES, SCORES, Calibration, ScoreReference
from tasks.drift.drift_check import COLUMNS, Rule, check, compare, rows_of
from tasks.drift.prediction_window import Span, Window
from tasks.inference.input.image_file import FileContent
from tasks.inference.prediction_log import PredictionLog
from tasks.inference.predictor import predict_files
from tasks.package.package_folder import write_package
from tasks.package.prediction_schema import SCHEMA
from tasks.package.trained_model import TrainedModel
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

CPU = torch.device("cpu")
SIDE_PX = 96
N_IMAGES = 90
STEPS = 40
Pixels = NDArray[np.uint8]


def answered(model: TrainedModel, seed: int, change: Callable[[Pixels], Pixels]) -> pd.DataFrame:
    """What a model says of phantoms of this seed, each changed as scanners do."""
    files = []
    for number in range(N_IMAGES):
        pixels = change(phantom.draw(seed, CLASSES[number % 3], f"p{number}", 0, SIDE_PX)[0])
        files.append(FileContent(f"{number}.pgm", f"P5 {SIDE_PX} {SIDE_PX} 255\n".encode() + pixels.tobytes()))
    table: pd.DataFrame = predict_files(files, model, CPU).to_pandas()
    return table


def as_before(pixels: Pixels) -> Pixels:
    return pixels


def darker(pixels: Pixels) -> Pixels:
    return np.asarray(pixels * 0.7, dtype=np.uint8)


def noisy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(int(pixels.sum())).normal(0, 20, pixels.shape)
    return np.asarray((pixels + noise).clip(0, 255), dtype=np.uint8)


def trained_a_little() -> FPAE:
    """An autoencoder that rebuilds phantoms roughly: noise is what it cannot rebuild."""
    network = FPAE()
    drawn = [phantom.draw(3, CLASSES[number % 3], f"p{number}", 0, 64)[0] for number in range(32)]
    images = torch.from_numpy(np.stack(drawn)).unsqueeze(1).float() / 255
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for step in range(STEPS):
        batch = images[torch.arange(8) + 8 * (step % 4)]
        loss = (network(batch).reconstruction - batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    """A model that brings the scores of its validation images; its autoencoders have learnt a little."""
    torch.manual_seed(0)
    autoencoder = save(trained_a_little().state_dict())
    bare = replace(untrained_model(), autoencoders={"healthy": autoencoder, "pneumonia": autoencoder})
    told = answered(bare, 1, as_before)
    reference = ScoreReference.from_predictions(told, told["path"].to_numpy(dtype=object), seed=0)
    return replace(bare, calibration=replace(bare.calibration, scores=reference))


@pytest.fixture(scope="module")
def usual(model: TrainedModel) -> pd.DataFrame:
    return answered(model, 2, as_before)


@pytest.fixture(scope="module")
def dark(model: TrainedModel) -> pd.DataFrame:
    return answered(model, 2, darker)


def window_of(told: pd.DataFrame) -> Window:
    return Window(
        model="model",
        scores={name: told[name].to_numpy(dtype=np.float64) for name in SCORES},
        abstained=int(told["abstained"].sum()),
        passed_over=Counter(),
    )


def test_phantoms_drawn_as_before_have_not_drifted(model: TrainedModel, usual: pd.DataFrame) -> None:
    drift = compare(window_of(usual), model.calibration.scores, Rule())
    assert drift.drifted == []
    assert drift.verdict == f"no drift: {N_IMAGES} images are like the validation images"


def test_phantoms_with_another_exposure_have_drifted(model: TrainedModel, dark: pd.DataFrame) -> None:
    drift = compare(window_of(dark), model.calibration.scores, Rule())
    assert drift.drifted
    assert drift.verdict.startswith("drift in ")


def test_noise_is_drift_of_the_residual_energies(model: TrainedModel) -> None:
    drift = compare(window_of(answered(model, 2, noisy)), model.calibration.scores, Rule())
    assert {"residual_healthy", "residual_pneumonia", "residual_both"} <= set(drift.drifted)


def test_what_predict_logs_of_a_package_can_be_checked(model: TrainedModel, dark: pd.DataFrame, tmp_path: Path) -> None:
    write_package(tmp_path / "package", model, CARD, some_lineage())
    rows = pa.Table.from_pandas(dark, SCHEMA, preserve_index=False)
    PredictionLog(tmp_path / "log").append(rows, model.digest)
    drift = check(tmp_path / "log", Span(), str(tmp_path / "package"), Rule())
    assert drift.drifted
    assert (drift.window_images, drift.reference_images) == (N_IMAGES, N_IMAGES)
    assert [tuple(row) for row in rows_of(drift)] == [COLUMNS] * (len(SCORES) + 1)


def test_a_difference_that_is_sure_and_small_is_no_drift(model: TrainedModel, dark: pd.DataFrame) -> None:
    assert compare(window_of(dark), model.calibration.scores, Rule(min_psi=100)).drifted == []


def test_too_few_images_are_not_judged(model: TrainedModel, usual: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"20 images in the window, 50 needed"):
        compare(window_of(usual.head(20)), model.calibration.scores, Rule())


def test_a_model_without_a_reference_says_how_to_get_one(usual: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="Calibrate it again"):
        compare(window_of(usual), None, Rule())


@pytest.mark.parametrize("values", [{"level": 0.0}, {"level": 1.0}, {"min_psi": -1.0}, {"min_images": 0}])
def test_a_rule_that_is_none_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(ParamsError, match="allowed"):
        Rule(**values)  # type: ignore[arg-type]


def answers_of(n: int) -> pd.DataFrame:
    return pd.DataFrame({name: np.linspace(1, 0, n) for name in SCORES} | {"abstained": np.arange(n) % 4 == 0})


def test_the_reference_has_one_image_a_patient() -> None:
    groups = np.array(["a", "a", "b", "b", "b", "c"], dtype=object)
    reference = ScoreReference.from_predictions(answers_of(6), groups, seed=1)
    assert (reference.images, reference.abstained) == (3, 1)
    assert reference.scores[SCORES[0]] == [0.0, 0.6, 1.0]


def test_the_reference_of_many_patients_is_a_draw_of_them_that_a_seed_decides() -> None:
    make = partial(ScoreReference.from_predictions, answers_of(3000), np.arange(3000).astype(object))
    assert make(seed=1).images == MAX_IMAGES
    assert make(seed=1) == make(seed=1) != make(seed=2)
    assert make(seed=1).scores[SCORES[0]] == sorted(make(seed=1).scores[SCORES[0]])


def test_the_calibration_file_keeps_the_reference_and_files_of_before_have_none(model: TrainedModel) -> None:
    fields = asdict(model.calibration)
    assert Calibration.from_dict(fields) == model.calibration
    del fields["scores"]
    assert Calibration.from_dict(fields).scores is None


def test_probabilities_close_to_1_are_no_drift() -> None:
    rng = np.random.default_rng(0)

    def scores() -> dict[str, NDArray[np.float64]]:
        return {name: 1 - 10 ** -rng.uniform(5, 9, 500) for name in SCORES}

    validation = pd.DataFrame({**scores(), "abstained": [False] * 500})
    reference = ScoreReference.from_predictions(validation, np.array([f"{i}" for i in range(500)], dtype=object), 0)
    window = Window(model="m", abstained=0, scores=scores(), passed_over=Counter())
    assert all(score.corrected_p > 0.01 for score in compare(window, reference, Rule(min_psi=0.0)).scores)
