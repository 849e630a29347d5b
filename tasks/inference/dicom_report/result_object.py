"""What every DICOM object of a prediction has: its maker, its patient and study, and that it is for research alone."""

import hashlib
import io
import uuid
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pydicom
from pydicom.uid import UID

from tasks.inference.dicom_report.source_study import COPIED
from tasks.runtime.code_digest import code_digest, files_needed_by
from tasks.runtime.files import digest

NAMESPACE: Final = uuid.UUID("6f0a3cf4-6a0d-5f0c-9f86-3d8f6f5f2a51")
"""Of the name-based UUIDs (RFC 9562, version 5) that UIDs are made of."""
ROOT: Final = "2.25."
"""DICOM's root for UIDs that are UUIDs (PS3.5, B.2): no registration is needed."""
RESULTS_MODULE: Final = "tasks.inference.dicom_report.report_writer"
"""What is in a result depends on the code of this module and of all that it imports."""
MAKER: Final = "CoroNet"
MODEL_NAME: Final = f"{MAKER} chest X-ray classifier"
NOTICE: Final = "Research software, not a medical device. Not for diagnosis, treatment or triage."
RESEARCH: Final = "RESEARCH"
"""DICOM's own word for it: Content Qualification (0018,9004)."""
PADDING: Final = b"\xfc\xff\xfc\xffOB\0\0\x20\0\0\0"
"""Begins Data Set Trailing Padding (FFFC,FFFC), 32 bytes that mean nothing to readers (PS3.10, 7.2)."""
SEAL_BYTES: Final = len(PADDING) + hashlib.sha256().digest_size
TEXT_ENCODING: Final = "ISO_IR 192"
"""UTF-8, whatever the image is in: it holds the text of all."""


@dataclass(frozen=True, kw_only=True)
class ResultUIDs:
    """Identifiers of one result."""

    instance: UID
    series: UID
    """One for all results of a kind, of one model in one study."""


def result_uids(kind: str, study: str, sha256: str, model_digest: str, *settings: object) -> ResultUIDs:
    """Return the UIDs of a result of `kind`: the same image, model and code give the same.

    A repeated prediction is then the same object to an archive, which keeps one of them, and not a second report.
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


def equipment(model_digest: str) -> dict[str, Any]:
    """Return the attributes of the maker as highdicom takes them: the program, its version, the model's digest."""
    return {
        "manufacturer": MAKER,
        "manufacturer_model_name": MODEL_NAME,
        "software_versions": version("coronet"),
        "device_serial_number": model_digest,
        "content_qualification": RESEARCH,
        "specific_character_set": TEXT_ENCODING,
    }


def add_patient_and_study(target: pydicom.Dataset, source: pydicom.Dataset) -> None:
    """Copy patient and study from `source` (`source_study.source_of`); what it lacks stays as it is."""
    for keyword in COPIED:
        if keyword in source:
            setattr(target, keyword, source[keyword].value)


def instance_number(source: pydicom.Dataset) -> int:
    """Return the number of the image within its series, at least 1: results are numbered as their images are."""
    return max(int(source.get("InstanceNumber", 1)), 1)


def encoded(target: pydicom.Dataset) -> bytes:
    """Return the file of a DICOM object, in explicit VR and little endian, its checksum in the padding at its end."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, target, enforce_file_format=True)
    content = buffer.getvalue()
    return content + PADDING + hashlib.sha256(content).digest()


def is_whole(path: Path, uid: str) -> bool:
    """Whether `path` is the file of the object `uid` as `encoded` has made it."""
    if not path.is_file():
        return False
    content, seal = (whole := path.read_bytes())[:-SEAL_BYTES], whole[-SEAL_BYTES:]
    if seal != PADDING + hashlib.sha256(content).digest():
        return False
    found = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    return bool(found.SOPInstanceUID == uid)
