"""`coronet models`, as far as it goes without a registry."""

from pathlib import Path

import pytest

from coronet_core.errors import DataError
from flows.models import fetch_to


@pytest.mark.parametrize("name", ["folder", "folder/notes.txt"])
def test_what_is_no_package_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="there already, and no package"):
        fetch_to("1", tmp_path / name)
    assert (tmp_path / "folder" / "notes.txt").read_text() == "mine"
