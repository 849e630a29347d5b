"""The reading page as it is used: files, overlay, keys, a phone."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from tests.core.dicom_studies import STUDY, study_file
from tests.integration.chromium import Keys, Page, reading_page
from tests.serving.served import dicom, png, running

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRIPT = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with running(log_requests=False) as address, reading_page(address) as page:
        yield page
        assert page.complaints() == []  # of scripts, of the content policy, of what could not be loaded


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {"chest.png": png(), "chest.dcm": dicom(1), "notes.png": b"no image", SCRIPT: png(2)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


@pytest.mark.parametrize("name", ["chest.png", "chest.dcm"])
def test_a_chosen_file_is_shown_with_its_answer_residuals_and_map(
    page: Page, files: dict[str, Path], name: str
) -> None:
    page.open()
    page.choose([files[name]])
    page.wait_for_overlay()
    page.wait(lambda: page.all("#residuals:not([hidden])"))
    assert page.script("return document.querySelector('#picture').naturalWidth") == 160
    page.wait(lambda: page.script("return document.querySelector('#residual-pneumonia').naturalWidth") == 64)
    told = page.text("#answer")
    assert name in told
    assert len(page.all("#answer meter")) == 3
    assert "provided they resemble the 40 validation images" in page.text("#meaning")
    assert "not ruled out" in told
    assert page.text("#live").startswith(f"{name}: ")


def test_every_control_has_a_name_and_no_key_is_part_of_one(page: Page, files: dict[str, Path]) -> None:
    page.open()
    page.require_plain_names("Choose X-rays", "Try an example", "Overlay", "Opacity", "Method", "Evidence for")
    page.choose([files["chest.png"]])
    page.wait_for_overlay()
    page.wait(lambda: page.all("#residuals:not([hidden])"))
    verdict = ("Healthy", "COVID-19", "Not readable", "Initials", "Note", "Save verdict")
    page.require_plain_names("Next to read", "Order", "Remove all", *verdict)


def test_without_an_own_x_ray_a_synthetic_image_can_be_tried(page: Page, files: dict[str, Path]) -> None:
    page.open()
    assert "not the X-ray of a patient" in page.text("#stage")
    page.tab_to("#example")
    page.press(Keys.ENTER)
    page.wait_for_overlay()
    assert "A synthetic image: a drawing" in page.text("#answer")
    assert page.text("#live").startswith("synthetic example.png: ")
    assert "synthetic image" in page.text("#list")
    assert not page.one("#example").is_displayed()
    page.choose([files["chest.png"]])
    page.press(Keys.ARROW_RIGHT)
    assert "synthetic" not in page.text("#answer").lower()


def test_the_answer_to_a_dicom_file_is_saved_as_dicom_of_its_study(
    page: Page, files: dict[str, Path], tmp_path: Path
) -> None:
    of_a_study = tmp_path / "study.dcm"
    of_a_study.write_bytes(study_file())
    folder = tmp_path / "saved"
    page.open()
    page.choose([files["chest.png"], of_a_study, files["chest.dcm"]])
    page.wait_for_overlay()
    assert not page.one("#dicom").is_displayed()
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: page.one("#dicom").is_displayed())
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    for number, button in enumerate(("#save-report", "#save-map"), start=1):
        page.one(button).click()
        page.wait(lambda number=number: len(list(folder.glob("*.dcm"))) == number)
        page.wait(lambda: "Saved as" in page.text("#dicom-told"))
    made = [pydicom.dcmread(path) for path in folder.glob("*.dcm")]
    assert {one.Modality for one in made} == {"SR", "OT"}
    assert {one.StudyInstanceUID for one in made} == {STUDY["StudyInstanceUID"]}
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: page.text("#dicom-told") == "" and page.one("#dicom").is_displayed())
    page.one("#save-report").click()  # of a file without a study
    page.wait(lambda: "StudyInstanceUID" in page.text("#dicom-told"))
    assert page.complaints()  # the browser notes the refused request


def test_a_wrong_file_is_a_row_with_its_reason_and_the_others_are_answered(page: Page, files: dict[str, Path]) -> None:
    page.open()
    page.choose([files["notes.png"], files["chest.png"]])
    assert "This file cannot be read: not an image" in page.text("#answer")
    assert "cannot be read" in page.text("#hint")
    rows = page.texts("#list button")
    assert "not an image" in rows[0]
    assert "not an image" not in rows[1]


def test_a_preview_that_failed_is_asked_for_again_once_its_image_is_selected(
    page: Page, files: dict[str, Path]
) -> None:
    page.open()
    with page.without("/preview"):
        page.choose([files["chest.png"]])
        page.wait(lambda: "cannot be reached" in page.text("#busy"))
    page.one("#list button").click()
    page.wait_for_overlay()
    page.wait(lambda: not page.one("#busy").is_displayed())


def test_residual_images_that_failed_are_asked_for_again_once_their_image_is_selected(
    page: Page, files: dict[str, Path]
) -> None:
    page.open()
    with page.without("/residuals"):
        page.choose([files["chest.png"]])
        page.wait_for_overlay()
        assert not page.one("#residuals").is_displayed()
    page.one("#list button").click()
    page.wait(lambda: page.one("#residuals").is_displayed())
    page.wait(lambda: not page.one("#busy").is_displayed())


def test_a_script_in_a_name_stays_a_name(page: Page, files: dict[str, Path]) -> None:
    page.open()
    page.choose([files[SCRIPT]])
    assert SCRIPT in page.text("#answer")
    assert page.all("#answer img, #list img[src=x]") == []


def test_the_overlay_follows_slider_switch_and_method(page: Page, files: dict[str, Path]) -> None:
    page.open()
    page.choose([files["chest.png"]])
    page.wait_for_overlay()
    first = page.script("return document.querySelector('#overlay').toDataURL()")
    page.one("#opacity").send_keys(Keys.END)
    assert page.script("return document.querySelector('#overlay').style.opacity") == "1"
    page.one("#opacity").send_keys(Keys.HOME)
    assert page.script("return document.querySelector('#overlay').style.opacity") == "0"
    page.one("#shown").click()
    assert page.all("#overlay[hidden]")
    page.one("#shown").click()
    page.one("#method").send_keys("Occ")
    page.wait(lambda: page.script("return document.querySelector('#overlay').toDataURL()") != first)


@pytest.mark.parametrize(("of", "lungs"), [("healthy", "healthy lungs"), ("pneumonia", "lungs with pneumonia")])
def test_a_residual_image_says_what_it_shows_below_it_enlarged_and_to_who_cannot_see_it(
    page: Page, files: dict[str, Path], of: str, lungs: str
) -> None:
    page.open()
    page.choose([files["chest.png"]])
    page.wait(lambda: page.all("#residuals:not([hidden])"))
    told = f"Autoencoder trained on {lungs}. Bright: not reconstructed"
    assert page.text(f"#told-{of}").startswith(told)
    assert page.one(f"#residual-{of}").get_attribute("alt").startswith(f"Residual image of chest.png. {told}")
    assert not page.one("#caption").is_displayed()
    page.one(f"#show-{of}").click()
    assert page.text("#caption").startswith(told)
    assert page.one("#picture").get_attribute("alt").startswith(f"Residual image of chest.png. {told}")


def test_everything_can_be_done_by_keys(page: Page, files: dict[str, Path]) -> None:
    page.open()
    page.choose([files["chest.png"], files["chest.dcm"]])
    page.wait_for_overlay()
    page.press("o")
    assert page.all("#overlay[hidden]")
    page.press("o")
    page.wait_for_overlay()
    before = int(page.script("return document.querySelector('#opacity').value"))
    page.press("]")
    assert int(page.script("return document.querySelector('#opacity').value")) == before + 5
    page.press(Keys.ARROW_RIGHT)
    assert "chest.dcm" in page.text("#answer")
    page.press(Keys.ARROW_LEFT)
    assert "chest.png" in page.text("#answer")
    page.wait(lambda: page.all("#residuals:not([hidden])"))
    page.press("r")
    assert page.one("#show-healthy").get_attribute("aria-pressed") == "true"
    page.press("r", "r")
    assert page.all("[aria-pressed=true]") == []
    page.press(Keys.TAB)
    outlined = page.script("return getComputedStyle(document.activeElement, null).outlineStyle")
    assert outlined != "none"


def test_removing_all_leaves_nothing(page: Page, files: dict[str, Path]) -> None:
    page.open()
    page.choose([files["chest.png"]])
    page.one("#clear").click()
    assert page.all("#list button") == []
    assert page.all("#picture[hidden]")
    assert "chest.png" not in page.text("body")


def test_on_a_phone_nothing_is_wider_than_the_screen_and_the_notice_stays(page: Page, files: dict[str, Path]) -> None:
    page.open(390, 844, is_phone=True)
    page.choose([files["chest.png"], files["chest.dcm"]])
    page.wait(lambda: page.all("#residuals:not([hidden])"))
    assert page.script("return document.documentElement.scrollWidth") == 390
    page.script("scrollTo(0, document.documentElement.scrollHeight)")
    place = page.script(
        "const r = document.querySelector('.notice strong').getBoundingClientRect(); return [r.top, r.bottom]"
    )
    assert 0 <= place[0] < place[1] <= 844
    assert page.text(".notice strong") == "Research software, not a medical device."


def test_on_a_phone_every_file_is_reached_in_the_list_with_its_whole_name(page: Page, tmp_path: Path) -> None:
    names = [f"{number}_{'a_long_name_' * 5}.png" for number in range(6)]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(png(number))
    page.open(390, 844, is_phone=True)
    page.choose([tmp_path / name for name in names])
    page.wait(lambda: len(page.all("#list img.thumb")) == len(names))  # each fills the rows anew
    page.tab_to("#list button")
    for name in names:
        assert page.script("return document.activeElement.querySelector('.name').textContent") == name
        inside, within = page.script(
            "const boxes = [document.activeElement, document.querySelector('#list')].map((one) => one."
            "getBoundingClientRect()); return boxes.map((box) => [box.left, box.top, box.right, box.bottom])"
        )
        assert within[0] <= inside[0] < inside[2] <= within[2] <= 390
        assert within[1] <= inside[1] < inside[3] <= within[3] <= 844
        for text in page.all("#list button:focus span"):
            assert page.script("return arguments[0].scrollWidth <= arguments[0].clientWidth || 'cut'", text) is True
        assert name in page.text("#answer")
        page.press(Keys.ARROW_DOWN)
    assert page.text("#count").startswith("Image 6 of 6")


def test_what_arrives_later_does_not_scroll_the_page(page: Page, files: dict[str, Path]) -> None:
    page.open(390, 844, is_phone=True)
    page.choose([files["chest.png"], files["chest.dcm"]])
    page.wait(lambda: page.all("#residuals:not([hidden])"))
    page.script("scrollTo(0, document.documentElement.scrollHeight)")
    before = page.script("return scrollY")
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: "chest.dcm" in page.text("#answer") and page.all("#residuals:not([hidden])"))
    page.wait_for_overlay()
    assert before > 400
    assert page.script("return scrollY") > 400


def test_that_uploads_are_kept_is_told(tmp_path: Path) -> None:
    with running(keep=tmp_path / "kept", log_requests=False) as address, reading_page(address) as page:
        page.open()
        assert page.text("#privacy") == "This service stores the images that you send."


def test_a_service_with_keys_asks_for_one_until_it_is_right(files: dict[str, Path]) -> None:
    key = "ok-mr-key-of-ward-3"  # its letters are shortcuts elsewhere on the page
    with running(keys=(key,), log_requests=False) as address, reading_page(address) as page:
        page.driver.get(address)
        for typed, hint in (("wrong", "asks for an API key"), (key, "does not accept this key")):
            page.wait(lambda hint=hint: page.all("#key-dialog[open]") and hint in page.text("#key-hint"))
            page.press(typed, Keys.ENTER)
        page.wait(lambda: page.all("body[data-ready]"))
        page.choose([files["chest.png"]])
        page.wait_for_overlay()
