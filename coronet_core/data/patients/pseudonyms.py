"""Ids in all output: keyed hashes, from which patients cannot be identified without the key."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from coronet_core.data.image_record import Record
from coronet_core.data.patients import patient_ids

Origin = Literal["table", "header", "placeholder", "none"]
"""Origin of an image's patient id: the source or the file's header; else whether there was a placeholder."""

DIGITS = 16


@dataclass(frozen=True)
class Ids:
    """How patients and images are called in what is written."""

    key: str
    """Of the hashes; who has it can recompute a hash from an id."""
    as_given: bool = False
    """Write the ids that sources give as they are. Those of DICOM headers are hashed nevertheless."""

    def patient(self, record: Record, header_id: str | None = None) -> str:
        """Return what to write for the patient of `record`, whose file's header names `header_id`."""
        in_header = _patient_in_header(record, header_id)
        if record.patient_id is None and in_header is not None:
            return self._of_header(in_header)
        return self._written(record.patient_id or f"{record.source}/{record.name}")

    def patient_columns(self, record: Record, header_id: str | None = None) -> dict[str, str | None]:
        """Return what the manifest's row of `record` has of its patient."""
        known = record.patient_id or _patient_in_header(record, header_id)
        zeroless = None if known is None else self._hashed(f"zeroless/{patient_ids.without_leading_zeros(known)}")
        return {
            "patient_id": self.patient(record, header_id),
            "patient_id_from": _origin(record, header_id),
            "patient_id_zeroless": zeroless,
        }

    def of_headers(self, known: Iterable[str]) -> dict[str, str]:
        """Return what is written for each patient of `known`, by what is written where a header alone names them."""
        return {self._of_header(patient_id): self._written(patient_id) for patient_id in known}

    def image(self, record: Record) -> str:
        """Return what to write for an image: its source, its name (which often holds the patient's), its copy."""
        copy = f"#{record.copy}" if record.copy > 1 else ""
        return f"{record.source}/{self._written(record.name)}{copy}"

    @property
    def fingerprint(self) -> str:
        """Tells whether two manifests call patients by the same ids; the key does not follow from it."""
        return "as given" if self.as_given else self._hashed("fingerprint")

    def _of_header(self, patient_id: str) -> str:
        return self._hashed(f"dicom/{patient_id}")

    def _written(self, text: str) -> str:
        return text if self.as_given else self._hashed(text)

    def _hashed(self, text: str) -> str:
        return hmac.new(self.key.encode(), text.encode(), hashlib.sha256).hexdigest()[:DIGITS]


def _origin(record: Record, header_id: str | None) -> Origin:
    if record.patient_id is not None:
        return "table"
    if _patient_in_header(record, header_id) is not None:
        return "header"
    is_placeholder = patient_ids.is_written(header_id) and patient_ids.normalised(header_id) is None
    return "placeholder" if record.has_placeholder_id or is_placeholder else "none"


def _patient_in_header(record: Record, header_id: str | None) -> str | None:
    """Return the patient whom the header names, if it is not the image's name that its source's headers repeat."""
    patient = patient_ids.normalised(header_id)
    return None if record.header_repeats_name and patient == record.name else patient
