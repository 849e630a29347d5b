"""A split of phantoms for tests of the stages behind it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.build_split import stage as build_split
from tasks.runtime.params.schema import Params
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.stage_run import StageRun


@pytest.fixture(scope="session")
def place_split(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Params], None]:
    """A function that puts the split of its params into the current folder; each is built once a process of tests."""
    built: dict[str, Path] = {}

    def place(params: Params) -> None:
        split = repr((params.data, params.seed))
        if split not in built:
            built[split] = tmp_path_factory.mktemp("split")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(built[split])
                patch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
                Path("data/raw").mkdir(parents=True)
                build_split.run(StageContext(name="build_split", params=params, tracking=StageRun("build_split", {})))
        without_its_run = shutil.ignore_patterns("tracking")
        shutil.copytree(built[split], Path(), ignore=without_its_run, dirs_exist_ok=True)

    return place
