"""What MLflow is told of a split that cannot be built."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coronet_core.support.errors import DataError
from tests.tasks.split.raw_images import RAW


@pytest.mark.usefixtures("mlflow_store")
def test_what_is_wrong_with_a_file_is_not_told_to_mlflow(build: Callable[..., Any], tmp_path: Path) -> None:
    (RAW / "healthy" / "DOE_JANE.png").write_bytes(b"")
    with pytest.raises(DataError, match="finds no patient in this file name"):
        build()
    assert b"DOE_JANE" not in (tmp_path / "mlflow.db").read_bytes()
