"""A small run that has come as far as the report: real stages on phantoms, with networks that have learnt nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.classifier.architectures import build_cin
from coronet_core.common.literals import PRECISION_KEY
from coronet_core.common.weights import save_weights
from tasks.audit import stage as audit
from tasks.build_split import stage as build_split
from tasks.calibrate import stage as calibrate
from tasks.calibrate.calibration_file import read_calibration
from tasks.evaluate import stage as evaluate
from tasks.explain import stage as explain
from tasks.materialize_residuals import stage as materialize_residuals
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import PhantomPatients, PhantomSource
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import CIN_HISTORY, CIN_WEIGHTS, autoencoder_history, autoencoder_weights
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun
from tests.conftest import PARAMS


@contextmanager
def finished_run(folder: Path) -> Iterator[StageContext]:
    """A run in `folder`, which is the current one meanwhile; nothing is sent to MLflow. The context is the report's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
        yield run_all_but_the_report()


def run_all_but_the_report() -> StageContext:
    """Run every stage before the report in the current folder; returns the context for the report."""
    context = run_up_to_evaluate()
    for history in (autoencoder_history("healthy"), autoencoder_history("pneumonia"), CIN_HISTORY):
        history.parent.mkdir(parents=True, exist_ok=True)
        losses = {"epoch": [1, 2, 3], "training_loss": [3.0, 2.0, 1.0], "validation_loss": [3.0, 1.5, 2.0]}
        pd.DataFrame(losses).to_csv(history, index=False)
    for stage in (audit, explain):
        stage.run(replace(context, name=stage.__name__.rpartition(".")[2]))
    return context


def run_up_to_evaluate() -> StageContext:
    """Run the stages up to `evaluate`, training left out; returns the context of any stage, called as the report."""
    Path("data/raw").mkdir(parents=True)
    context = StageContext(name="report", params=small_params(), tracking=StageRun("report", {}))
    build_split.run(context)
    for label in ("healthy", "pneumonia"):
        save_weights(FPAE(), autoencoder_weights(label), {PRECISION_KEY: "bf16"})
    save_weights(build_cin(), CIN_WEIGHTS, {PRECISION_KEY: "fp32"})
    for stage in (materialize_residuals, calibrate, evaluate):
        stage.run(replace(context, name=stage.__name__.rpartition(".")[2]))
    return context


def model_of_run(params: Params) -> TrainedModel:
    """Return the model of such a run in the current folder."""
    return TrainedModel(
        image_size_px=params.data.image_size_px,
        aspect=params.data.aspect,
        residuals=params.residuals,
        cin_input=params.cin.input,
        batch_size=params.evaluate.batch_size,
        autoencoders={
            "healthy": autoencoder_weights("healthy").read_bytes(),
            "pneumonia": autoencoder_weights("pneumonia").read_bytes(),
        },
        cin=CIN_WEIGHTS.read_bytes(),
        calibration=read_calibration(),
        reading=params.data.reading,
    )


def small_params() -> Params:
    """Params of the demo, for seconds instead of minutes."""
    params = read_params(PARAMS)
    patients = PhantomPatients(healthy=8, pneumonia=8, covid19=8)
    source = PhantomSource(kind="phantom", patients=patients, images_per_patient_max=1)
    measures = replace(params.explain.measures, deletion_steps=2, repeat_seeds=1, randomisation_images=1)
    return replace(
        params,
        device="cpu",
        data=replace(params.data, sources=[source]),
        evaluate=replace(params.evaluate, bootstrap_replicates=100),
        audit=replace(params.audit, probe_images=2),
        explain=replace(
            params.explain,
            images_per_class=1,
            boxed_images=1,
            methods=["perturbation", "grad_cam"],
            perturbation=replace(params.explain.perturbation, iterations=1),
            measures=measures,
        ),
    )
