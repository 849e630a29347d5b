"""The reading page, open while the alias of the model moves."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pydicom
import pytest

from serving import alias_watch
from tasks.package.trained_model import TrainedModel
from tests.core.dicom_studies import study_file
from tests.integration.chromium import Keys, Page, reading_page
from tests.serving.served import other_model, png, running, served_model, trained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SOURCE = "models:/coronet@champion"
FORMER = trained_model()
PRESENT = replace(other_model(), calibration=replace(FORMER.calibration, miscoverage=0.2))


@dataclass
class Alias:
    """What the alias of a registry means."""

    model: TrainedModel
    address: str = ""

    def version(self, _: str) -> Any:
        return SimpleNamespace(digest=self.model.digest, uri=SOURCE, number=1)

    def move(self, model: TrainedModel) -> None:
        """Let it mean another model, and wait until the service has that one."""
        self.model = model
        while httpx.get(f"{self.address}/ready", timeout=60).json()["model"] != model.digest:
            pass


@pytest.fixture
def alias(monkeypatch: pytest.MonkeyPatch) -> Alias:
    alias = Alias(FORMER)
    monkeypatch.setattr(alias_watch, "find_version", alias.version)
    monkeypatch.setattr(alias_watch, "load_model", lambda _: alias.model)
    monkeypatch.setattr(alias_watch, "model_card", lambda _: "")
    return alias


@pytest.fixture
def page(alias: Alias) -> Iterator[Page]:
    served = served_model(source=SOURCE)
    with running(served, alias_seconds=0.1, log_requests=False) as address, reading_page(address) as page:
        alias.address = address
        page.open()
        yield page
        assert page.complaints() == []


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    contents = {"one.png": png(), "two.png": png(1), "study.dcm": study_file()}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in contents]


def wait_for_pictures(page: Page) -> None:
    page.wait_for_overlay()
    page.wait(lambda: page.one("#residuals").is_displayed())


def require_answer_of(model: TrainedModel, page: Page, file: Path) -> None:
    """Require that the page shows the answer of the service to `file`, with the limits of `model`."""
    told = httpx.post(f"{page.address}/predict", files={"files": file.read_bytes()}, timeout=60).json()
    assert told["model"] == model.digest
    shown = page.script("return [...document.querySelectorAll('#answer meter')].map((one) => one.value)")
    assert shown == pytest.approx(list(told["answers"][0]["probabilities"].values()))
    held = round(100 * (1 - model.calibration.miscoverage))
    assert f"For at least {held} in 100 images" in page.text("#meaning")


def test_a_map_of_another_model_is_not_shown_before_that_models_answer(
    page: Page, alias: Alias, files: list[Path]
) -> None:
    page.choose(files[:1])
    wait_for_pictures(page)
    require_answer_of(FORMER, page, files[0])
    residual = page.one("#residual-healthy").get_attribute("src")
    assert page.text("#changed") == ""
    alias.move(PRESENT)
    page.one("#method").send_keys("Occ")
    page.wait(lambda: PRESENT.digest[:12] in page.text("#changed"))
    page.wait(lambda: "at least 80 in 100" in page.text("#meaning"))
    wait_for_pictures(page)
    require_answer_of(PRESENT, page, files[0])
    assert PRESENT.digest[:12] in page.text("#model")
    assert page.one("#residual-healthy").get_attribute("src") != residual
    assert not page.one("#busy").is_displayed()
    assert "former model" not in page.text("#list")


def test_answers_of_the_former_model_are_marked_until_their_image_is_selected(
    page: Page, alias: Alias, files: list[Path]
) -> None:
    def marked() -> list[bool]:
        return ["former model" in told for told in page.texts("#list button")]

    page.choose(files[:2])
    wait_for_pictures(page)
    alias.move(PRESENT)
    page.choose(files[2:])
    page.wait(lambda: len(page.all("#list button")) == 3 and marked() == [True, True, False])
    assert "Answered before the model changed" in page.text("#answer")
    assert "at least 90 in 100" in page.text("#meaning")
    page.press(Keys.ARROW_RIGHT)
    page.wait(lambda: marked() == [True, False, False])
    wait_for_pictures(page)
    require_answer_of(PRESENT, page, files[1])
    assert "Answered before" not in page.text("#answer")


def test_an_answer_of_another_model_is_not_saved_as_dicom_before_it_is_shown(
    page: Page, alias: Alias, files: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    page.choose(files[2:])
    wait_for_pictures(page)
    alias.move(PRESENT)
    page.one("#save-report").click()
    page.wait(lambda: "The model has changed" in page.text("#dicom-told"))
    assert list(folder.glob("*")) == []
    require_answer_of(PRESENT, page, files[2])
    page.one("#save-report").click()
    (saved,) = page.wait(lambda: list(folder.glob("*.dcm")))
    assert pydicom.dcmread(saved).DeviceSerialNumber == PRESENT.digest


def test_if_the_service_cannot_answer_anew_the_former_answer_stays_and_says_so(
    page: Page, alias: Alias, files: list[Path]
) -> None:
    page.choose(files[:1])
    wait_for_pictures(page)
    alias.move(PRESENT)
    with page.without("/predict"):
        page.one("#method").send_keys("Occ")
        page.wait(lambda: "no new answer yet" in page.text("#busy"))
        assert page.all("#overlay[hidden]")
        assert "Answered before the model changed" in page.text("#answer")
    page.one("#list button").click()
    page.wait(lambda: "at least 80 in 100" in page.text("#meaning"))
    wait_for_pictures(page)
