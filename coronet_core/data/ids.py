"""Ids as they are written: keyed hashes, which lead nobody back to a patient without the key."""

import hashlib
import hmac
from dataclasses import dataclass

from coronet_core.data.record import Record

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
        if record.patient_id is None and header_id is not None:
            return self._hashed(f"dicom/{header_id}")
        return self._written(record.patient_id or f"{record.source}/{record.name}")

    def image(self, record: Record) -> str:
        """Return what to write for an image: its source, its name (which often holds the patient's), its copy."""
        copy = f"#{record.copy}" if record.copy > 1 else ""
        return f"{record.source}/{self._written(record.name)}{copy}"

    @property
    def fingerprint(self) -> str:
        """Tells whether two manifests call patients by the same ids; the key does not follow from it."""
        return "as given" if self.as_given else self._hashed("fingerprint")

    def _written(self, text: str) -> str:
        return text if self.as_given else self._hashed(text)

    def _hashed(self, text: str) -> str:
        return hmac.new(self.key.encode(), text.encode(), hashlib.sha256).hexdigest()[:DIGITS]
