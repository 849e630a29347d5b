"""How templates become pages: filters for numbers that may be missing, and values that cannot pass for markup."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from tasks.runtime.external_text import code_span, plain
from tasks.runtime.files import write_text

MINUS: Final = "−"
DASH: Final = "–"
"""What stands for a number that there is none of: a class without images has no sensitivity."""


def write_page(target: Path, template: str, content: dict[str, Any]) -> None:
    """Fill the template of that name with `content` and write it to `target`."""
    write_text(target, environment().get_template(template).render(content))


def environment() -> Environment:
    """Return the templates of the project. Values are escaped in pages; in Markdown, those that data name are `plain`.

    A name that a template expects and `content` lacks is an error.
    """
    found = Environment(
        loader=PackageLoader("tasks.report"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),  # by itself only .html: ours would not be
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "percent": percent,
        "percents": percents,
        "number": number,
        "numbers": numbers,
        "words": words,
        "plain": plain,
        "code_span": code_span,
    }
    found.globals |= {"classes": CLASSES, "names": DISPLAY_NAMES}
    return found


def percent(share: float | None, digits: int = 2) -> str:
    """Return a share as a percentage."""
    return DASH if share is None else f"{100 * share:.{digits}f}".replace("-", MINUS)


def percents(interval: Sequence[float | None] | None) -> str:
    """Return an interval of shares as percentages."""
    if interval is None or None in interval:
        return DASH
    return DASH.join(percent(end, 1) for end in interval)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits behind the point."""
    return DASH if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def numbers(interval: Sequence[float | None] | None, digits: int = 3) -> str:
    """Return an interval; one that reaches below zero is told with a word, as a dash would look like a minus."""
    if interval is None or None in interval:
        return DASH
    low, high = (number(end, digits) for end in interval)
    return f"{low} to {high}"


def words(name: str) -> str:
    """Return a key as words."""
    return name.replace("_", " ")
