"""A copy of the project to measure in, with outs, caches and servers of its own."""

import os
import subprocess
import sys
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
