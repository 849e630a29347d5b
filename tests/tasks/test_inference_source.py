from pathlib import Path

import pytest

from coronet_core.errors import DataError
from tasks.inference.source import load_model


def test_without_a_name_it_is_the_project_s_last_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match=r"dvc\.lock: the stage build_split has not run"):
        load_model(None)


@pytest.mark.parametrize("source", ["nowhere", "../models:/coronet", "https://example.org/model"])
def test_a_name_of_nothing_is_refused(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DataError, match="no such folder"):
        load_model(source)
