"""JSON that stays text wherever it ends up: a name with a script in it has no `<` left, and reads the same."""

import json
from typing import Any, Final

from starlette.responses import JSONResponse

ESCAPES: Final = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


def json_bytes(value: Any) -> bytes:
    """Return `value` as JSON in UTF-8, `<`, `>` and `&` escaped. NaN is refused."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
    for plain, escaped in ESCAPES:
        text = text.replace(plain, escaped)
    return text


class SafeJsonResponse(JSONResponse):
    """A response of JSON without markup."""

    def render(self, content: Any) -> bytes:
        """Return the bytes that are sent."""
        return json_bytes(content)
