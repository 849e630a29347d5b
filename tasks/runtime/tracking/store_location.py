"""Where MLflow's SQLite file says artifacts are, when the project's folder has been moved or copied.

MLflow writes down full paths. In another folder they lead to where the project was: artifacts would not be found, and
those of new runs would be written there, into the original of a copy or into a folder that is made again. So the paths
of the project's own store are made those of the folder that it is in. What lies elsewhere on purpose stays.
"""

import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from coronet_core.support.errors import TransientError
from coronet_core.support.plurals import counted
from coronet_core.support.whole_files import write_whole
from tasks.runtime.paths import STATE
from tasks.runtime.safe_text.terminal import printable

STORE: Final = Path("mlflow.db")
FORMER: Final = Path("mlflow.db.before-move")
"""The store as it was, in case somebody wants it."""
ARTIFACTS: Final = "mlruns"
"""MLflow's folder of artifacts, by default next to the store."""
PROJECT_FILES: Final = (Path("dvc.yaml"), STORE)
LOCATIONS: Final = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("logged_models", "artifact_location"),
)
FILE: Final = "file://"
WAIT_S: Final = 30.0
"""For a process that writes to the store."""


def repair_locations() -> None:
    """Make the locations in the current folder's store those of this folder, if it came here from another.

    All of them at once or none; the store as it was is kept as `mlflow.db.before-move`. Raises TransientError when that
    cannot be done, before anything is written anywhere.
    """
    here = Path.cwd()
    if not (moved_from := former_folders(here)):
        return
    try:
        with closing(sqlite3.connect(STORE, timeout=WAIT_S, isolation_level=None)) as store:
            write_whole(FORMER, lambda partial: _copy(store, partial))
            store.execute("BEGIN IMMEDIATE")
            for former in moved_from:
                _move(store, former, here)
            store.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise TransientError(
            f"{STORE}: still names {moved_from[0]}, from where this project was moved or copied, and cannot be "
            f"corrected ({error}). Stop the programs that use it, make it writable, and try again."
        ) from error
    for former in moved_from:
        print(printable(_message(former, here)), file=sys.stderr)


def former_folders(here: Path) -> list[Path]:
    """Return the folders in which the project was, by what the store in `here` says of its experiments."""
    found: dict[Path, None] = {}
    for experiment, location in _experiments(here / STORE):
        root, _, name = location.removeprefix(FILE).rpartition("/")
        if name != experiment or not root.startswith("/") or Path(root).name != ARTIFACTS:
            continue  # on a server, or somewhere that somebody has chosen
        folder = Path(root.partition(f"/{STATE}/")[0]) if f"/{STATE}/" in root else Path(root).parent
        if _is_former(folder, here, experiment):
            found[folder] = None
    return list(found)


def _experiments(store: Path) -> list[tuple[str, str]]:
    if not store.is_file():
        return []
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as opened:
        rows = opened.execute("SELECT experiment_id, artifact_location FROM experiments").fetchall()
        return [(str(experiment), str(location)) for experiment, location in rows]
    return []  # no store of MLflow yet, or a damaged one, which MLflow itself reports


def _is_former(folder: Path, here: Path, experiment: str) -> bool:
    """Say whether a folder with artifacts is this project's own, from before: gone, another copy, or left behind."""
    if folder == here:
        return False
    try:
        (folder / ARTIFACTS).stat()
        if folder.samefile(here):
            return False
        is_project = any((folder / file).is_file() for file in PROJECT_FILES)
    except OSError:  # it is gone, or somebody else's
        return True
    return is_project or (here / ARTIFACTS / experiment).is_dir()


def _copy(store: sqlite3.Connection, target: Path) -> None:
    with closing(sqlite3.connect(target)) as copy:
        store.backup(copy)


def _move(store: sqlite3.Connection, former: Path, here: Path) -> None:
    for table, column in LOCATIONS:
        if column not in {row[1] for row in store.execute(f"PRAGMA table_info({table})")}:
            continue  # an earlier MLflow
        for scheme in ("", FILE):
            old, new = f"{scheme}{former}/", f"{scheme}{here}/"
            store.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",  # noqa: S608  # our own names
                (new, len(old) + 1, len(old), old),
            )


def _message(former: Path, here: Path) -> str:
    message = f"This project was moved from {former}: {STORE} now names this folder; {FORMER} is its former state."
    if not (former / ARTIFACTS).is_dir():
        return message
    left = [
        run
        for run in (former / ARTIFACTS).glob("*/*")
        if run.is_dir() and not (here / ARTIFACTS / run.relative_to(former / ARTIFACTS)).exists()
    ]
    if not left:
        return message
    command = f"cp -Rn '{former / ARTIFACTS}/.' {ARTIFACTS}/"
    return f"{message} Only there: the artifacts of {counted(len(left), 'run')}. Copy them: {command}"
