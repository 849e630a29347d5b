from pathlib import Path

import pytest

from coronet_core.support.errors import DataError
from tasks.inference.model_source import load_model, params_of_run
from tasks.package.package_folder import write_package
from tests.tasks.trained_model import CARD, some_lineage, untrained_model


def test_without_a_name_it_is_the_project_s_last_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match=r"dvc\.lock: the stage build_split has not run"):
        load_model(None)


def test_a_folder_is_a_package(tmp_path: Path) -> None:
    model = untrained_model()
    write_package(tmp_path / "package", model, CARD, some_lineage(params={"seed": 7}))

    assert load_model(str(tmp_path / "package")).digest == model.digest
    assert params_of_run(str(tmp_path / "package")) == {"seed": 7}


@pytest.mark.parametrize("source", ["nowhere", "../models:/coronet", "https://example.org/model"])
def test_a_name_of_nothing_is_refused(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match="no such folder"):
        load_model(source)
