"""What the command measures: the checks, which run on a GPU as well (`-m gpu`), and every measurement once."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gpu import checks, learners, protocol
from benchmarks.gpu.bench import Bench
from benchmarks.gpu.images import drawn
from benchmarks.gpu.plan import PLAN, Measurement
from benchmarks.gpu.reference import reference_folder
from benchmarks.gpu.rows import NotMeasuredError
from benchmarks.gpu.side_by_side import Objective, stacked_step
from benchmarks.gpu.sizes import Size

CPU = torch.device("cpu")
ON_A_GPU = pytest.param(
    "cuda",
    marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU here")],
)
on_each_device = pytest.mark.parametrize("device", ["cpu", ON_A_GPU])
TINY = Size(
    name="tiny",
    side_px=48,
    batch=2,
    batches=(2, 4),
    cin_batch=2,
    share=0.0,
    explained=2,
    iterations=1,
    answered=(2,),
    timed_s=0.0,
    blocks=1,
    warm_up=1,
)
NOT_HERE = ("checks", "AE compiled", "AE best batch")
"""Measurements with a test of their own, or that compile, which takes minutes on a CPU."""


def bench_of(measurement: str, device: str, reference: Path | None = None) -> Bench:
    return Bench(
        measurement=measurement,
        device=torch.device(device),
        size=TINY,
        reference=reference,
        ends=time.monotonic() + 3600,
        rows=[],
        on_row=lambda _: None,
    )


@pytest.mark.slow
@on_each_device
def test_everything_is_right(device: str) -> None:
    if (reference := reference_folder()) is None:
        pytest.skip("needs golden values, which are not in shared/reference")
    bench = bench_of("checks", device, reference)
    checks.measure(bench)
    assert [str(row) for row in bench.rows if row.figures and not row.figures["right"]] == []
    missing = {row.name for row in bench.rows if row.reason}
    only_gpus = {f"golden {part}, tf32" for part in ("reconstruction", "latent", "residual_tensor")}
    assert missing == (only_gpus | {"message when memory is out"} if device == "cpu" else set())


def test_a_resumed_training_without_its_optimizer_is_found_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.optim.Adam, "load_state_dict", lambda *_: None)
    assert not checks.resumed(CPU).is_right


def test_a_wrong_gradient_is_found_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    learner_on = checks._learner
    seen: list[int] = []

    def other_images_the_second_time(*arguments: object) -> object:
        seen.append(1)
        images = drawn(checks.BATCH, checks.SIDE_PX, seed=len(seen))
        return learner_on(*arguments) if len(seen) == 1 else learners.autoencoder(images, checks.BATCH, CPU, "fp32")

    monkeypatch.setattr(checks, "_learner", other_images_the_second_time)
    assert not checks.training_step("autoencoder", CPU, "fp32")["gradient"].is_right


def test_a_difference_that_is_no_number_is_wrong() -> None:
    assert not checks.Check(float("nan"), 1.0).is_right


def test_golden_values_that_are_not_there_say_so() -> None:
    with pytest.raises(NotMeasuredError, match="CORONET_REFERENCE"):
        checks.golden(None, CPU, "fp32")


def test_the_stacked_network_computes_what_two_networks_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learners, "format_of", lambda _: "fp32")
    stacked = stacked_step(48, 2, CPU)()
    torch.manual_seed(0)
    images = torch.from_numpy(drawn(4, 48))[:, None].float() / 255
    apart = [Objective()(part) for part in images.split(2)]
    np.testing.assert_allclose(stacked.numpy(), torch.stack(apart).detach().numpy(), rtol=1e-5)


def test_the_compiled_step_computes_what_ours_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch's code generator, which takes minutes on a CPU."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    ours, compiled = (make(48, 2, CPU) for make in (learners.autoencoder_step, learners.compiled_autoencoder_step))
    for _ in range(2):
        torch.testing.assert_close(compiled(), ours(), rtol=1e-3, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("measurement", [one for one in PLAN if one.name not in NOT_HERE], ids=lambda one: one.name)
def test_every_measurement_measures_or_names_what_is_missing(
    measurement: Measurement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", _refuse)
    monkeypatch.setattr(torch.nn.Module, "compile", _refuse)
    monkeypatch.setattr(protocol, "AUTOENCODER_EPOCHS", 2)
    monkeypatch.setattr(protocol, "CIN_EPOCHS", 2)
    bench = bench_of(measurement.name, "cpu")
    measurement.load()(bench)
    reasons = {row.reason for row in bench.rows} - {""}
    assert [row for row in bench.rows if row.figures]
    assert all("GPU" in reason or "compiling" in reason for reason in reasons), reasons


def _refuse(*_: object, **__: object) -> None:
    raise NotMeasuredError("compiling is left out here")
