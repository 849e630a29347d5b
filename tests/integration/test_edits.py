"""Code is edited while work is unfinished: what does not depend on the edit goes on."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from coronet_core.autoencoder.fpae import FPAE
from coronet_core.common.weights import save_weights
from coronet_core.data.sources import phantom
from tasks.package.package_folder import write_package
from tasks.runtime.paths import autoencoder_weights
from tests.integration.conftest import Project
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]
ELSEWHERE, NEEDED = "tasks/promotion/gate.py", "coronet_core/classifier/architectures.py"


@pytest.fixture
def project(new_project: Callable[[], Project]) -> Project:
    """A project whose CIN can be trained, of many epochs, with untrained autoencoders."""
    project = new_project()
    project.set_params({"cin": {"epochs": 99, "batch_size": 8, "precision": "fp32"}})
    for label in ("healthy", "pneumonia"):
        save_weights(FPAE(), project.folder / autoencoder_weights(label))
    for stage in ("build_split", "materialize_residuals"):
        made = project.run("tasks", stage)
        assert made.returncode == 0, made.stdout
    return project


def comment_on(project: Project, file: str) -> None:
    with (project.folder / file).open("a") as code:
        code.write("\n# an edit\n")


def output_until_an_epoch(project: Project) -> str:
    """Train the CIN until an epoch is finished, kill it, and return what it has printed."""
    lines = []
    with project.start("tasks", "train_cin") as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if re.match(r"epoch \d+/", line):
                break
        process.kill()
    return "".join(lines)


def test_epochs_outlive_an_edit_elsewhere_and_no_edit_of_a_dependency(project: Project) -> None:
    assert "resuming" not in output_until_an_epoch(project)
    comment_on(project, ELSEWHERE)
    assert "resuming after epoch 1 of 99" in output_until_an_epoch(project)
    comment_on(project, NEEDED)
    told = output_until_an_epoch(project)
    assert "resuming" not in told
    assert "epoch 1/99" in told


def test_predictions_outlive_an_edit_elsewhere_and_no_edit_of_the_code_that_answers(
    new_project: Callable[[], Project],
) -> None:
    project = new_project()
    write_package(project.folder / "package", untrained_model(), CARD, some_lineage())
    (project.folder / "scans").mkdir()
    for number in range(2):
        pixels, _ = phantom.draw(0, "healthy", f"p{number}", 0, 96)
        (project.folder / f"scans/{number}.pgm").write_bytes(b"P5 96 96 255\n" + pixels.tobytes())

    def predicted() -> dict[Path, int]:
        command = ("predict", "scans", "--model", "package", "--shard-files", "1", "--out", "found.parquet")
        run = project.run("flows", *command)
        assert run.returncode == 0, run.stdout
        return {path: path.stat().st_mtime_ns for path in (project.folder / "found.parquet").glob("part-*")}

    first = predicted()
    assert len(first) == 2
    comment_on(project, ELSEWHERE)
    assert predicted() == first
    comment_on(project, NEEDED)
    assert predicted().keys().isdisjoint(first)
