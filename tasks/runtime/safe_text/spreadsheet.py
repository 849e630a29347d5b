"""Text from outside in the cells of a CSV, which a spreadsheet may open."""

from typing import Final

FORMULA_BEGINS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # full width
"""How a cell begins that a spreadsheet would compute."""


def spreadsheet_cell(text: str) -> str:
    """Return `text` as a cell that no spreadsheet computes: where it would, an apostrophe comes first."""
    return f"'{text}" if text.startswith(FORMULA_BEGINS) else text


def spreadsheet_path(text: str) -> str:
    """Return the path `text` as a cell that no spreadsheet computes: where it would, as `./text`, the same file."""
    return f"./{text}" if text.startswith(FORMULA_BEGINS) else text
