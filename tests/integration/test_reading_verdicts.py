"""Verdicts on the reading page: given, kept, downloaded, and read as labels."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from coronet_core.data.sources import image_folder
from coronet_core.support.whole_files import sha256_of
from tests.integration.chromium import Keys, Page, reading_page
from tests.serving.served import png, running, trained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]

FORMULA = "=HYPERLINK(1).png"
NOTE = '+ "left", basal'


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("verdicts") / "verdicts.csv"


@pytest.fixture(scope="module")
def page(table: Path) -> Iterator[Page]:
    with running(log_requests=False, verdicts=table) as address, reading_page(address) as page:
        yield page
        assert page.complaints() == []


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "read"
    folder.mkdir()
    paths = [folder / name for name in ("notes.png", FORMULA, "chest.png", "side.png")]
    for number, path in enumerate(paths):
        path.write_bytes(png(number) if number else b"no image")
    return paths


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def downloaded(page: Page, folder: Path) -> Path:
    folder.mkdir()
    behaviour = {"behavior": "allow", "downloadPath": str(folder)}
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    page.one("#download").click()
    return Path(page.wait(lambda: next(folder.glob("verdicts-*.csv"), None)))


def test_verdicts_by_keys_are_stored_and_downloaded_and_read_as_the_labels_of_the_folder(
    page: Page, files: list[Path], table: Path, tmp_path: Path
) -> None:
    page.open()
    page.choose(files)
    page.press("n")
    page.wait(lambda: FORMULA in page.text("#answer"))
    page.press("3", Keys.ENTER)
    page.wait(lambda: page.text("#verdict-told") == "COVID-19. Stored by the service.")
    page.press("n")
    page.wait(lambda: "chest.png" in page.text("#answer"))
    assert page.all("#choices :checked") == []
    page.press("1", Keys.ARROW_DOWN)  # among the classes, not the images
    assert page.all("#choices [value=pneumonia]:checked")
    assert "chest.png" in page.text("#answer")
    page.script("document.querySelector('#choices :checked').checked = false")
    page.one("#reader").send_keys("3n")
    page.one("#note").send_keys(NOTE)
    page.press(Keys.ENTER)
    assert page.text("#verdict-told") == "Choose a class, or not readable."
    page.one("#choices [value=healthy]").click()
    page.one("#save").click()
    page.wait(lambda: page.text("#verdict-told") == "Healthy, 3n. Stored by the service.")
    page.press("n", "0")
    page.one("#save").click()
    page.wait(lambda: "Not readable, 3n" in page.text("#verdict-told"))
    assert page.one("#next").get_property("disabled")
    assert page.text("#count").endswith("0 to read")
    page.one("#clear").click()
    copy = downloaded(page, tmp_path / "downloads")
    assert copy.read_bytes() == table.read_bytes()
    first, second, third = rows(copy)
    assert (first["file"], first["label"], first["reader"]) == (f"./{FORMULA}", "covid19", "")
    assert (second["label"], second["reader"], second["note"]) == ("healthy", "3n", f"'{NOTE}")
    assert (third["file"], third["label"]) == ("side.png", "not_readable")
    assert {row["model"] for row in (first, second, third)} == {trained_model().digest}
    assert first["sha256"] == sha256_of(files[1])
    listing = image_folder.records(tmp_path, "read", str(copy), None)
    assert [(record.name, record.label) for record in listing.records] == [
        (f"read/{FORMULA}", "covid19"),
        ("read/chest.png", "healthy"),
    ]


def test_images_that_need_a_reader_come_first_if_asked_for_and_stay_where_they_are_once_read(
    page: Page, files: list[Path]
) -> None:
    page.open()
    page.choose(files)

    def names() -> list[str]:
        return page.texts("#list .name")

    needs = page.script(
        "return [...document.querySelectorAll('#list li')].map("
        "(row) => /needs a human|out of distribution/.test(row.innerText))"
    )
    in_order = [path.name for path in files]
    expected = [
        *(name for name, needed in zip(in_order, needs, strict=True) if needed),
        *(name for name, needed in zip(in_order[1:], needs[1:], strict=True) if not needed),
        "notes.png",
    ]
    assert any(needs)
    assert names() == in_order
    page.one("#order").send_keys("to")
    page.wait(lambda: names() == expected)
    page.one("#list button").click()
    page.one("#choices [value=covid19]").click()
    page.one("#save").click()
    page.wait(lambda: "reader: COVID-19" in page.text("#list li"))
    assert names() == expected
    page.one("#list button").click()
    page.press(Keys.ARROW_DOWN)
    page.wait(lambda: expected[1] in page.text("#answer"))


def test_a_long_list_begins_with_the_images_to_read_unless_the_reader_chooses_otherwise(
    page: Page, files: list[Path], tmp_path: Path
) -> None:
    (unreadable,) = (path for path in files if path.name == "notes.png")
    many = [unreadable, *(tmp_path / f"{number}.png" for number in range(8))]
    for number, path in enumerate(many[1:]):
        path.write_bytes(png(number))

    def names() -> list[str]:
        found: list[str] = page.script(
            "return [...document.querySelectorAll('#list .name')].map((one) => one.innerText)"
        )
        return found

    page.open()
    page.choose(many)
    assert page.one("#order").get_attribute("value") == "read"
    page.wait(lambda: names()[-1] == "notes.png")
    needs = page.script(
        "return [...document.querySelectorAll('#list li')].map("
        "(row) => /needs a human|out of distribution/.test(row.innerText))"
    )
    assert needs == sorted(needs, reverse=True)
    page.one("#order").send_keys("as")
    page.wait(lambda: names() == [path.name for path in many])


def test_a_blinded_reader_sees_the_answer_once_the_verdict_is_saved(page: Page, files: list[Path], table: Path) -> None:
    page.open()
    page.one("#blinded").click()
    page.choose(files[2:])
    assert page.texts("#list .told") == ["answer hidden"] * 2
    assert "hidden until your verdict is saved" in page.text("#answer")
    assert page.text("#live").endswith(".png: answer hidden")
    assert page.text("#count").endswith("2 to read")
    page.wait(lambda: page.all("#picture:not([hidden])"))
    for what in ("#answer meter", "#residuals:not([hidden])", "#overlay:not([hidden])", "#meaning p"):
        assert page.all(what) == [], what
    page.press("2", Keys.ENTER)
    page.wait(lambda: len(page.all("#answer meter")) == 3)
    page.wait_for_overlay()
    assert page.text("#count").endswith("1 to read")
    page.one("#blinded").click()  # and so the second answer is shown
    page.press("n")
    page.wait(lambda: "side.png" in page.text("#answer") and len(page.all("#answer meter")) == 3)
    page.one("#blinded").click()
    assert len(page.all("#answer meter")) == 3, "what was seen cannot be hidden any more"
    page.press("1", Keys.ENTER)
    page.wait(lambda: "Stored" in page.text("#verdict-told"))
    assert [(row["file"], row["blinded"]) for row in rows(table)[-2:]] == [("chest.png", "true"), ("side.png", "false")]
    page.one("#blinded").click()


def test_what_cannot_be_seen_or_is_synthetic_has_no_verdict(page: Page, files: list[Path]) -> None:
    page.open()
    page.one("#example").click()
    page.wait_for_overlay()
    assert not page.one("#verdict").is_displayed()
    assert page.text("#count").endswith("0 to read")
    page.choose([files[0], files[2]])
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: "cannot be read" in page.text("#answer"))
    assert not page.one("#verdict").is_displayed()


def test_a_verdict_that_is_nowhere_but_on_the_page_is_not_lost_unasked(files: list[Path], tmp_path: Path) -> None:
    def is_guarded() -> bool:
        return bool(page.script("return !dispatchEvent(new Event('beforeunload', { cancelable: true }))"))

    with running(log_requests=False) as address, reading_page(address) as page:
        page.open()
        page.choose(files[2:3])
        assert not is_guarded()
        page.press("1", Keys.ENTER)
        page.wait(
            lambda: (
                page.text("#verdict-told")
                == "Healthy. Not stored by the service. Download it before you close this page."
            )
        )
        assert is_guarded()
        (row,) = rows(downloaded(page, tmp_path / "downloads"))
        assert (row["file"], row["label"]) == ("chest.png", "healthy")
        assert not is_guarded()


def test_a_verdict_that_the_service_cannot_store_says_so_and_can_be_downloaded(
    files: list[Path], tmp_path: Path
) -> None:
    table = tmp_path / "verdicts.csv"
    with running(log_requests=False, verdicts=table) as address, reading_page(address) as page:
        page.open()
        assert page.text("#privacy") == "Images are not stored; verdicts are, with file names."
        page.choose(files[2:3])
        table.write_text("file;label\n")
        page.press("2", Keys.ENTER)
        page.wait(lambda: "was not stored" in page.text("#verdict-told"))
        assert len(rows(downloaded(page, tmp_path / "downloads"))) == 1
