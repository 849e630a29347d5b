"""Class folders to read."""

from pathlib import Path

import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "xray"
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (8, 8), 40 * number).save(root / label / f"P{number}_{label}.png")
    return root
