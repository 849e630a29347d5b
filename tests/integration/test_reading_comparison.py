"""Two models side by side on the reading page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.chromium import Keys, Page, reading_page
from tests.serving.served import other_model, png, running, served_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAMES = {"healthy": "Healthy", "pneumonia": "non-COVID Pneumonia", "covid19": "COVID-19"}
CHALLENGER = served_model(model=other_model(), source="another")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with running(challenger=CHALLENGER, log_requests=False) as address, reading_page(address) as page:
        yield page
        assert page.complaints() == []


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    path = tmp_path / "chest.png"
    path.write_bytes(png())
    return path


def asked(page: Page, chest: Path, by: str) -> Any:
    files = {"files": (chest.name, chest.read_bytes())}
    return httpx.post(f"{page.address}/predict?by={by}", files=files, timeout=60).json()["answers"][0]


def cells(page: Page) -> list[list[str]]:
    rows = page.all(".both tbody tr")
    return [[cell.text for cell in row.find_elements("css selector", "th, td")] for row in rows]


def wait_for_both(page: Page) -> None:
    page.wait(lambda: page.all(".both") and "…" not in page.text(".both"))
    page.wait(lambda: len(page.all(".pane .overlay:not([hidden])")) == 2)


def test_both_answers_stand_side_by_side_with_where_they_differ(page: Page, chest: Path) -> None:
    page.open(1280, 800)
    page.choose([chest])
    wait_for_both(page)
    both = [asked(page, chest, by) for by in ("model", "challenger")]
    shown = cells(page)
    for row, (label, name) in zip(shown, NAMES.items(), strict=False):
        assert row[0] == name
        for cell, answer in zip(row[1:], both, strict=True):
            assert cell.startswith(f"{round(100 * answer['probabilities'][label])}%")
            assert ("not ruled out" in cell) == (label in answer["prediction_set"])
    assert shown[3] == ["Prediction", *(NAMES[answer["predicted"]] for answer in both)]
    assert shown[5] == ["Out of distribution", *("yes" if answer["out_of_distribution"] else "no" for answer in both)]
    first, second = (NAMES[answer["predicted"]] for answer in both)
    told = page.text("#answer")
    assert (f"The models disagree. Prediction: {first}; challenger: {second}." in told) == (first != second)
    assert ("models differ" in page.text("#list")) == (first != second)
    assert "Challenger: another, " in page.text("#challenger")


def test_a_preview_that_failed_keeps_neither_other_previews_nor_the_challenger_back(
    page: Page, chest: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(png(1))
    page.open(1280, 800)
    page.script(
        "const ask = window.fetch; window.fetch = (to, how) => {"
        "  if (!to.startsWith('/preview')) return ask(to, how);"
        "  window.fetch = ask; return Promise.reject(new TypeError('cut off')); };"
    )
    page.choose([chest, other])
    wait_for_both(page)
    page.wait(lambda: len(page.all("#list img.thumb")) == 2)
    page.press(Keys.ARROW_RIGHT)
    wait_for_both(page)


def test_each_has_its_own_map_on_the_same_image(page: Page, chest: Path) -> None:
    page.open(1280, 800)
    page.choose([chest])
    page.one("#label").send_keys("COV")
    wait_for_both(page)
    page.wait(lambda: "challenger: " in page.text("#map-told"))
    drawn = "return document.querySelector(arguments[0]).toDataURL()"
    maps = [page.script(drawn, one) for one in ("#overlay", "#overlay-challenger")]
    assert maps[0] != maps[1]
    where = "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.top, r.width]"
    places = [page.script(where, one) for one in ("#picture", "#picture-challenger")]
    assert places[0][1:] == places[1][1:]
    assert places[0][0] + places[0][2] <= places[1][0]
    assert page.one("#picture-challenger").get_attribute("alt") == "X-ray chest.png, challenger"
    page.script("document.querySelector('#busy').hidden = false")  # the notice lies over the pictures
    assert [page.script(where, one) for one in ("#picture", "#picture-challenger")] == places
    page.one("#stage").click()
    page.press("r")
    page.wait(lambda: page.script("return document.querySelector('#picture-challenger').naturalWidth") == 64)
    assert "challenger" in page.one("#picture-challenger").get_attribute("alt")


def test_a_verdict_notes_what_both_have_predicted(chest: Path, tmp_path: Path) -> None:
    table = tmp_path / "verdicts.csv"
    with running(challenger=CHALLENGER, log_requests=False, verdicts=table) as address, reading_page(address) as page:
        page.open()
        page.choose([chest])
        wait_for_both(page)
        page.press("1", Keys.ENTER)
        page.wait(lambda: "Stored" in page.text("#verdict-told"))
        predicted = asked(page, chest, "challenger")["predicted"]
    row = table.read_text().splitlines()[1].split(",")
    assert row[-2:] == [other_model().digest, predicted]


def test_on_a_phone_both_fit_on_the_screen(page: Page, chest: Path) -> None:
    page.open(390, 844, is_phone=True)
    page.choose([chest])
    wait_for_both(page)
    assert page.script("return document.documentElement.scrollWidth") == 390
    for one in ("#picture", "#picture-challenger", ".both"):
        left, right = page.script(
            "const r = document.querySelector(arguments[0]).getBoundingClientRect(); return [r.left, r.right]", one
        )
        assert 0 <= left < right <= 390


def test_without_a_challenger_there_is_nothing_of_it(chest: Path) -> None:
    with running(log_requests=False) as address, reading_page(address) as page:
        page.open()
        page.choose([chest])
        page.wait_for_overlay()
        assert "hallenger" not in page.text("body")
        assert not page.one("#pane-challenger").is_displayed()
