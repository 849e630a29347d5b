"""The scripts of the report as they are used: sorting and filtering by keys, folding, print, a phone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.report.pages import environment
from tests.integration.chromium import Keys, Page, reading_page
from tests.tasks.report.test_report_cases import CASES, RIGHT

pytestmark = [pytest.mark.integration, pytest.mark.slow]

TEMPLATE = """{% extends "report.html.j2" %}{% block summary %}{% endblock %}
{% block section %}{% if anchor == "more" %}<p>More.</p>{% else %}{{ super() }}{% endif %}{% endblock %}"""
SECTIONS = {"notice": "Notice", "cases": "All test images", "more": "More"}
ROWS = "#case-table tbody tr:not([hidden])"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    cases = [
        *CASES,
        replace(RIGHT, image_id="e", probability=1.0, ood_score=10.5, label="covid19", predicted="covid19"),
    ]
    metrics = {"images": len(cases), "out_of_distribution": {"threshold": 3.0}}
    file: Path = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(environment().from_string(TEMPLATE).render(sections=SECTIONS, cases=cases, metrics=metrics))
    with reading_page(file.as_uri()) as page:
        yield page
        assert page.complaints() == []


@pytest.fixture
def page(loaded: Page) -> Page:
    """The page anew, with all sections open."""
    loaded.load()
    loaded.one("#fold-all [data-open=true]").click()
    return loaded


def ids(page: Page) -> str:
    return "".join(told[0] for told in page.texts(ROWS))


def test_a_column_is_sorted_by_keys_up_and_down(page: Page) -> None:
    heads = {head.text: head for head in page.all("#case-table thead th")}
    page.script("arguments[0].querySelector('button').focus()", heads["Probability"])
    page.press(Keys.ENTER)
    assert ids(page) == "bcade"
    assert heads["Probability"].get_attribute("aria-sort") == "ascending"
    page.press(Keys.ENTER)
    assert ids(page) == "edacb"
    page.script("arguments[0].querySelector('button').click()", heads["Out-of-distribution score"])
    assert ids(page)[-1] == "e", "10.5 is more than 1: a number, not a text"
    assert heads["Probability"].get_attribute("aria-sort") is None


def test_rows_are_filtered_by_class_error_abstention_and_text(page: Page) -> None:
    page.one("[name=error]").click()
    assert ids(page) == "cd"
    assert page.text("#case-filter output") == "2 of 5 rows"
    page.one("[type=reset]").click()
    page.wait(lambda: ids(page) == "abcde")
    page.one("[name=abstained]").click()
    assert ids(page) == "b"
    page.one("[name=abstained]").click()
    page.one("[name=predicted]").send_keys("COVID")
    assert ids(page) == "cde"
    page.one("[name=label]").send_keys("Healthy")
    page.one("[name=text]").send_keys("99.0")
    assert ids(page) == "d"


def test_every_control_has_a_name(page: Page) -> None:
    page.require_plain_names("Open all sections", "Close all", "Label", "Predicted", "Text", "Show all", "Probability")


def test_a_link_opens_its_section(loaded: Page) -> None:
    loaded.load()
    assert not loaded.script("return document.querySelector('#cases > details').open")
    loaded.one("nav a[href='#cases']").click()
    loaded.wait(lambda: loaded.script("return document.querySelector('#cases > details').open"))


def test_print_opens_all_sections_and_leaves_them_as_they_were(loaded: Page) -> None:
    loaded.load()
    loaded.script("dispatchEvent(new Event('beforeprint'))")
    assert loaded.all("details:not([open])") == []
    loaded.script("dispatchEvent(new Event('afterprint'))")
    assert len(loaded.all("details[open]")) == 1


def test_on_a_phone_nothing_is_wider_than_the_screen(loaded: Page) -> None:
    loaded.load(390, 844, is_phone=True)
    loaded.one("#fold-all [data-open=true]").click()
    assert loaded.script("return document.documentElement.scrollWidth") == 390
