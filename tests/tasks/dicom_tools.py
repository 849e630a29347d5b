"""Other programs that read DICOM, where they are installed: DCMTK's dcmdump and dsrdump, David Clunie's dciodvfy."""

import shutil
import subprocess
from pathlib import Path

import pytest


def dumped_report(path: Path) -> str:
    """Return what dsrdump reads in a structured report, names of concepts in full; it refuses what is none."""
    return _run("dsrdump", "dcmtk", "+Pl", str(path))


def dumped(path: Path) -> str:
    """Return what dcmdump reads in any DICOM file; it refuses what is none."""
    return _run("dcmdump", "dcmtk", "+fo", str(path))


def faults(path: Path) -> list[str]:
    """Return the errors that dciodvfy finds by the definition of the file's SOP class."""
    return [line for line in _run("dciodvfy", "dicom3tools", str(path)).splitlines() if line.startswith("Error")]


def _run(program: str, package: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program} of the system's package {package}, which `.ci/run` installs")
    finished = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout + finished.stderr
