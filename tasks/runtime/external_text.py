r"""Text from outside (MLflow, Prefect, DVC, S3, tables, headers, file names), made safe for where it ends.

    matching          an identifier: a digest, a commit, a run
    printable         a terminal or a log
    plain, code_span  Markdown
    spreadsheet_cell  CSV
    spreadsheet_path  the path of a file in CSV

Names that become paths: `coronet_core.data.file_names`. Pages of HTML are escaped by their templates.
"""

import html
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

FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # full width
"""How a cell begins that a spreadsheet would compute."""

MARKUP: Final = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown reads as emphasis, code, a link, an image or a cell; an underscore within a word is none."""
ADDRESS: Final = re.compile(r":(?=//)|(?<=\bwww)\.", re.IGNORECASE)
"""Where an address begins that Markdown would turn into a link."""
BLOCK: Final = re.compile(r"^(\d{0,9})(?=[#+-]|(?<=\d)[.)](?:\s|$))")
"""Where a heading or a list begins."""


def matching(pattern: str, text: str, what: str) -> str:
    """Return `text` if it matches `pattern`; `what` is what the error calls it. Raises DataError if it does not."""
    if re.fullmatch(pattern.removesuffix("$"), text) is None:
        form = pattern.strip("^$")
        raise DataError(
            f"{what} {text[:MAX_SHOWN]!r} is refused: it does not have the form {form}. Correct it at its origin."
        )
    return text


def printable(text: str) -> str:
    """Return `text` with escapes for what a terminal would obey: colours, moves of its cursor, the writing direction.

    The result is one line.
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


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


def spreadsheet_cell(text: str) -> str:
    """Return `text` as a cell that no spreadsheet computes: where it would, an apostrophe comes first."""
    return f"'{text}" if text.startswith(FORMULA_BEGINS) else text


def spreadsheet_path(text: str) -> str:
    """Return the path `text` as a cell that no spreadsheet computes: where it would, as `./text`, the same file."""
    return f"./{text}" if text.startswith(FORMULA_BEGINS) else text
