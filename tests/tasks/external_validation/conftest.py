"""A run, and validations of its model on labelled folders. The run is the current folder of a module's tests."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tasks.external_validation.validation import Validation
from tasks.runtime.stage_context import StageContext
from tests.tasks.external_run import (
    UNKNOWN,
    Labelled,
    Records,
    from_elsewhere,
    labelled,
    make_run,
    of_split,
    validated,
    write_folder,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StageContext, Records]]:
    """A run in the current folder: the context of its stages, and its images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        patch.delenv("CORONET_PSEUDONYM_KEY", raising=False)
        patch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
        yield make_run()


@pytest.fixture(scope="module")
def records(made: tuple[StageContext, Records]) -> Records:
    """The images of the run by their ids."""
    return made[1]


@pytest.fixture(scope="module")
def context(made: tuple[StageContext, Records]) -> StageContext:
    return made[0]


@pytest.fixture(scope="module")
def own_test(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of the run's own test split as a labelled folder."""
    images = [labelled(record) for record in of_split(records, "test")]
    return write_folder(tmp_path_factory.mktemp("own") / "test", images)


@pytest.fixture(scope="module")
def by_unknown(own_test: Path) -> Validation:
    return validated(own_test, UNKNOWN)


@pytest.fixture(scope="module")
def by_known(own_test: Path) -> Validation:
    return validated(own_test)


@pytest.fixture(scope="module")
def mixed(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Validation:
    """Images from elsewhere, two training images, another image of a training patient, a duplicate, and no image."""
    seen, darker, patient = of_split(records, "train")[:3]
    images = from_elsewhere()
    stranger, duplicate = images[0], replace(images[1], name="duplicate.pgm")
    guise = io.BytesIO()
    with Image.open(io.BytesIO(darker.read())) as image:
        image.point(lambda grey: int(grey * 0.8)).save(guise, "PNG")
    folder = write_folder(
        tmp_path_factory.mktemp("mixed") / "ward",
        [
            *images[1:],
            replace(labelled(seen), name="seen.pgm", patient="ward-seen"),
            Labelled("darker.png", guise.getvalue(), darker.label, "ward-darker"),
            replace(stranger, name="patient.pgm", label=patient.label, patient=patient.patient_id or ""),
            duplicate,
            Labelled("bad.png", b"not an image", "healthy", "ward-bad"),
        ],
    )
    (folder / "notes.txt").write_text("no X-ray")
    return validated(folder)
