"""Ids as they are written: keyed hashes, which lead nobody back to a patient without the key."""

import hashlib
import hmac
from dataclasses import dataclass

from coronet_core.data.record import Record

DIGITS = 16


@dataclass(frozen=True)
class Ids:
    """How patients and images are called in what is written."""

    key: str | None
    """Of the hashes; None writes ids as the source gives them."""

    def patient(self, patient_id: str) -> str:
        """Return what to write for a patient. Who has the key can recompute it from the id."""
        return self._written(patient_id)

    def image(self, record: Record) -> str:
        """Return what to write for an image: its source, its name (which often holds the patient's), its copy."""
        copy = f"#{record.copy}" if record.copy > 1 else ""
        return f"{record.source}/{self._written(record.name)}{copy}"

    def _written(self, text: str) -> str:
        if self.key is None:
            return text
        return hmac.new(self.key.encode(), text.encode(), hashlib.sha256).hexdigest()[:DIGITS]
