"""Identifiers from outside (a digest, a commit, a run, a stage), checked before they are used."""

import re
from typing import Final

from coronet_core.support.errors import DataError

SHA256: Final = "^[0-9a-f]{64}$"
DVC_MD5: Final = r"^[0-9a-f]{32}(\.dir)?$"
"""Of a file, or of the list of a folder's files."""
GIT_COMMIT: Final = "^([0-9a-f]{40}|[0-9a-f]{64})$"
RUN_ID: Final = "^[0-9a-f]{32}$"
"""MLflow's, of a run."""
STAGE_NAME: Final = "^[A-Za-z0-9_]+(@[A-Za-z0-9_]+)?$"
"""As DVC addresses a stage of `dvc.yaml`."""
MAX_SHOWN: Final = 80


def matching(pattern: str, text: str, what: str) -> str:
    """Return `text` if it matches `pattern`; `what` is what the error calls it. Raises DataError if it does not."""
    if re.fullmatch(pattern.removesuffix("$"), text) is None:
        form = pattern.strip("^$")
        raise DataError(
            f"{what} {text[:MAX_SHOWN]!r} is refused: it does not have the form {form}. Correct it at its origin."
        )
    return text
