"""Templates: numbers that may be missing, and values that cannot pass for markup."""

import pytest

from tasks.report.pages import environment, number, numbers, percent, percents, plain


def test_values_are_escaped_in_every_page() -> None:
    pages = [name for name in environment().list_templates() if name.endswith(".html.j2")]
    assert {"base.html.j2", "sections/data.html.j2"} <= set(pages)
    autoescape = environment().autoescape
    assert callable(autoescape)
    assert all(autoescape(name) for name in pages)


def test_numbers_and_intervals() -> None:
    assert (percent(0.12345), percent(0.5, 0)) == ("12.35", "50")
    assert percents((0.1, 0.25)) == "10.0–25.0"
    assert (number(-0.0123), number(1.5, 1)) == ("−0.012", "1.5")
    assert numbers((-0.1, 0.2), 2) == "−0.10 to 0.20"


@pytest.mark.parametrize("shown", [percent, percents, number, numbers])
def test_what_is_missing_is_a_dash(shown: object) -> None:
    assert callable(shown)
    assert shown(None) == "–"


def test_an_interval_without_an_end_is_a_dash() -> None:
    assert percents((None, 0.5)) == numbers((0.5, None)) == "–"


def test_plain_text_in_markdown_is_no_markup_and_no_cell() -> None:
    assert plain("<b>a</b> | b\nc & d") == "&lt;b&gt;a&lt;/b&gt; \\| b c &amp; d"
