"""The outs of a stage that has failed: DVC deletes them before it runs a stage, and keeps them in its cache."""

import os
import sys
from sqlite3 import Error as SQLiteError
from typing import Final

from coronet_core.support.credentials import first_words

RUN_BY_DVC: Final = "DVC_STAGE"
"""Variable that DVC sets for the command of a stage."""


def restore_former_outs(stage: str) -> None:
    """Bring back what the last finished run of `stage` made, as far as DVC's cache has it.

    Only if DVC runs the stage. `dvc.lock` says what it was, and still belongs to it; what is not in the cache stays as
    it is. DVC is imported late: it is slow.
    """
    if RUN_BY_DVC not in os.environ:
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            outs = [out for one in repo.stage.load_all(name=stage) for out in one.outs]
            for out in outs:
                if out.hash_info and not out.changed_cache():
                    out.checkout(force=True)
    except (DvcException, OSError, SQLiteError) as error:  # the stage's own error is what counts
        print(f"warning: the former results are not restored ({first_words(error, 200)})", file=sys.stderr)
