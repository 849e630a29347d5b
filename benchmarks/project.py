"""A copy of the project to measure in, with outs, caches and servers of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).parents[1]


def copy_project(folder: Path) -> None:
    """Copy what git tracks to `folder`, and make it a repository with one commit."""
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in tracked.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((PROJECT / name).read_bytes())
    identity = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "copied")):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)


def environment_of(folder: Path) -> dict[str, str]:
    """Return the environment of commands in a copy: nothing of this machine's servers and homes counts there."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "PREFECT_", "DVC_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    own = {
        "PREFECT_HOME": str(folder / ".prefect"),
        "DVC_SITE_CACHE_DIR": str(folder / ".site"),
        "DVC_NO_ANALYTICS": "1",
    }
    return kept | own | {"PATH": path, "PYTHONPATH": str(folder), "COLUMNS": "200"}


def run_python(folder: Path, *arguments: str, **variables: str) -> tuple[str, float]:
    """Run this Python in a copy, `variables` added to its environment; returns what it said, and the seconds it took.

    Ends the benchmark when it fails.
    """
    began = time.monotonic()
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment_of(folder) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        sys.exit(f"{' '.join(arguments)} has failed:\n{finished.stdout[-3000:]}")
    return finished.stdout, time.monotonic() - began


def time_stages(folder: Path, module: str) -> None:
    """Have the copy's stages run by `module`, which does what `python -m tasks` does and notes how long it took."""
    path = folder / "dvc.yaml"
    path.write_text(path.read_text().replace("exec python -m tasks ", f"exec python -m {module} "))
