"""UIDs of results, derived from what they are made of: the same image, model and code give the same UID.

A repeated prediction is then the same object to an archive, which keeps one of them, and not a second report.
"""

import uuid
from dataclasses import dataclass
from functools import cache
from typing import Final

from pydicom.uid import UID

from tasks.runtime.code_digest import code_digest, files_needed_by
from tasks.runtime.files import digest

NAMESPACE: Final = uuid.UUID("6f0a3cf4-6a0d-5f0c-9f86-3d8f6f5f2a51")
"""Of the name-based UUIDs (RFC 9562, version 5) that UIDs are made of."""
ROOT: Final = "2.25."
"""DICOM's root for UIDs that are UUIDs (PS3.5, B.2): no registration is needed."""
RESULTS_MODULE: Final = "tasks.inference.dicom_report.report_folder"
"""What is in a result depends on the code of this module and of all that it imports."""


@dataclass(frozen=True, kw_only=True)
class ResultUIDs:
    """Identifiers of one result."""

    instance: UID
    series: UID
    """One for all results of a kind, of one model in one study."""


def result_uids(kind: str, study: str, sha256: str, model_digest: str, *settings: object) -> ResultUIDs:
    """Return the UIDs of a result of `kind`.

    `study` is the study's UID, `sha256` that of the image's file; `settings` are what else decides the content.
    """
    made_by = (kind, model_digest, *settings, _code())
    return ResultUIDs(instance=derived_uid("instance", sha256, *made_by), series=derived_uid("series", study, *made_by))


def derived_uid(*parts: object) -> UID:
    """Return the UID that `parts` always give."""
    return UID(f"{ROOT}{uuid.uuid5(NAMESPACE, digest(*parts)).int}")


@cache
def _code() -> str:
    return code_digest(files_needed_by(RESULTS_MODULE))
