"""What the stages behind the CIN do when it has nothing to say, or nothing that is a number."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch

from coronet_core.support.errors import DataError, TrainingError
from tasks.calibrate import cin_outputs as prediction
from tasks.runtime.params.checks import read_params
from tasks.runtime.stage_context import StageContext
from tests.conftest import PARAMS, PROJECT
from tests.tasks.predictions import Told


class Inputs:
    """Inputs of images that are numbered from 0."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def take(self, positions: torch.Tensor) -> torch.Tensor:
        return positions.float()[:, None].repeat(1, 3)


def logits(n: int, cin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    monkeypatch.chdir(PROJECT)
    params = read_params(PARAMS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(prediction, "load_cin", lambda *_: cin)
    monkeypatch.setattr(prediction, "cin_inputs_of_split", lambda *_: (Inputs(n), None))
    context = StageContext(name="evaluate", params=params, tracking=cast("Any", Told()))
    return prediction.outputs_of_split(context, "test")[0]


def test_logits_come_in_the_order_of_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = logits(150, lambda x: 2 * x, tmp_path, monkeypatch)  # three batches
    torch.testing.assert_close(found, 2 * torch.arange(150.0).double()[:, None].repeat(1, 3))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_counted(number: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        TrainingError, match=r"logits are not finite for 2 of 150 test images: its weights \(models/cin"
    ):
        logits(150, lambda x: torch.where(x >= 148, number, x), tmp_path, monkeypatch)


def test_a_split_without_images_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no test images: nothing to predict. Raise data.split.test_fraction"):
        logits(0, lambda x: x, tmp_path, monkeypatch)
