"""`make check` refuses a package under a licence that is not allowed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT


def judged(folder: Path, name: str, licence: str) -> "subprocess.CompletedProcess[str]":
    """What pip-licenses says, with the project's settings, of an environment with this package too."""
    description = folder / f"{name}-1.0.dist-info" / "METADATA"
    description.parent.mkdir()
    description.write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\nLicense-Expression: {licence}\n")
    return subprocess.run(
        [Path(sys.executable).with_name("pip-licenses"), "--packages", name],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND GPL-2.0-only", "LGPL-3.0-only"])
def test_a_licence_that_nobody_has_judged_is_refused(tmp_path: Path, licence: str) -> None:
    finished = judged(tmp_path, "stranger", licence)
    assert finished.returncode == 1
    assert f"license {licence} not in allow-only licenses was found for package stranger:1.0" in finished.stderr


def test_a_package_that_was_judged_by_name_passes(tmp_path: Path) -> None:
    assert judged(tmp_path, "grandalf", "GPL-2.0-only").returncode == 0
    assert judged(tmp_path, "friend", "MIT").returncode == 0
