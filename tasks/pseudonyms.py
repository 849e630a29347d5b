"""The key by which patients and images are hashed in what is written."""

import hashlib
import hmac
import os
from typing import Final

KEY_VARIABLE: Final = "CORONET_PSEUDONYM_KEY"
DEFAULT_KEY: Final = "coronet"
"""No secret: who can guess what was hashed can recompute the hash."""


def pseudonym_key() -> str:
    """Return the key that CORONET_PSEUDONYM_KEY sets, or the one that everybody knows."""
    return os.environ.get(KEY_VARIABLE) or DEFAULT_KEY


def pseudonym(text: str) -> str:
    """Return a keyed hash of `text`, 32 hexadecimal digits."""
    return hmac.new(pseudonym_key().encode(), text.encode(), hashlib.sha256).hexdigest()[:32]
