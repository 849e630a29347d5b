"""DVC's digests of a stage's dependencies and outputs: what a run was made from, and what it made."""

from sqlite3 import Error as SQLiteError
from typing import Any


def dvc_hashes(stage: str) -> dict[str, str]:
    """Return path -> md5 of all deps and outs of `stage` as they are now; empty where DVC knows no such stage.

    They are the digests that DVC writes into `dvc.lock` when the stage has ended. DVC is imported late: it is slow.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            found: list[Any] = repo.stage.load_all(name=stage)  # a pipeline's run has no stage of its name
            entries = [entry for one in found for entry in (*one.deps, *one.outs)]
            return {
                str(entry): entry.get_hash().value for entry in entries if entry.hash_name == "md5" and entry.exists
            }
    except (DvcException, OSError, SQLiteError):  # lineage is told to MLflow; it must not fail a finished stage
        return {}
