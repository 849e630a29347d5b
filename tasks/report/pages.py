"""Rendering the templates: filters for numbers that may be missing, and escaping of values from the data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES
from coronet_core.support.percentages import as_percentage
from coronet_core.support.plurals import counted
from tasks.report.wording import either, randomised_layers, words
from tasks.runtime.files import write_text
from tasks.runtime.safe_text.markdown import code_span, plain

MINUS: Final = "−"
DASH: Final = "–"
"""Shown for an undefined number, such as the sensitivity of a class without images."""


def write_page(target: Path, template: str, content: dict[str, Any]) -> None:
    """Render the template `template` with `content` and write it to `target`."""
    write_text(target, environment().get_template(template).render(content))


def environment() -> Environment:
    """Return the project's Jinja environment. HTML values are escaped; Markdown templates use `plain` on data values.

    A name that a template uses and `content` lacks is an error.
    """
    found = Environment(
        loader=PackageLoader("tasks.report"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",)),  # the default is .html alone
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "percent": percent,
        "percents": percents,
        "as_percentage": as_percentage,
        "number": number,
        "numbers": numbers,
        "words": words,
        "randomised_layers": randomised_layers,
        "either": either,
        "plain": plain,
        "code_span": code_span,
    }
    found.globals |= {"classes": CLASSES, "names": DISPLAY_NAMES, "counted": counted}
    return found


def interval_name(confidence: float) -> str:
    """Return what intervals of this level (0.95) are called on a page: 95% interval."""
    return f"{as_percentage(confidence)} interval"


def percent(share: float | None, digits: int = 2) -> str:
    """Format a share as a percentage, without the sign."""
    return DASH if share is None else f"{100 * share:.{digits}f}".replace("-", MINUS)


def percents(interval: Sequence[float | None] | None) -> str:
    """Format an interval of shares as percentages, without the sign."""
    if interval is None or None in interval:
        return DASH
    return DASH.join(percent(end, 1) for end in interval)


def number(value: float | None, digits: int = 3) -> str:
    """Format a number with `digits` decimal places."""
    return DASH if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def numbers(interval: Sequence[float | None] | None, digits: int = 3) -> str:
    """Format an interval with "to" in between: before a negative number a dash would look like another minus."""
    if interval is None or None in interval:
        return DASH
    low, high = (number(end, digits) for end in interval)
    return f"{low} to {high}"
