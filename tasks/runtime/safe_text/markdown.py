"""Text from outside in Markdown."""

import html
import re
from typing import Final

from tasks.runtime.safe_text.terminal import printable

MARKUP: Final = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown reads as emphasis, code, a link, an image or a cell; an underscore within a word is none."""
ADDRESS: Final = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)
"""Where an address begins that Markdown would turn into a link."""
BLOCK: Final = re.compile(r"^(\d{0,9})(?=[#+-]|(?<=\d)[.)](?:\s|$))")
"""Where a heading or a list begins."""


def plain(text: object) -> str:
    """Return `text` as Markdown that shows it as it is, in a table too: no markup, link or image, and one line."""
    one_line = printable(" ".join(str(text).split()))
    marked = re.sub(MARKUP, r"\\\g<0>", html.escape(one_line, quote=False))
    return re.sub(BLOCK, r"\1\\", re.sub(ADDRESS, r"\\\g<0>", marked))


def code_span(text: object) -> str:
    """Return `text` as a code span of Markdown, whatever backticks it holds."""
    one_line = printable(" ".join(str(text).split()))
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", one_line)), default=0))
    pad = " " if "`" in one_line else ""
    return f"{fence}{pad}{one_line}{pad}{fence}"
