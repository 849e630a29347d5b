"""The pages in a headless Chromium, driven by what the distribution installs: nothing is downloaded."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

WAIT_S = 120
CONTROL_ROLES = frozenset(
    ("button", "link", "checkbox", "radio", "slider", "textbox", "searchbox", "combobox", "DisclosureTriangle")
)
LONE_KEY = re.compile(r"(?:^|\s)\w$")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")


class Page:
    """A page as somebody at a screen has it."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver = driver
        self.address = address

    def open(self, width_px: int = 1440, height_px: int = 900, *, is_phone: bool = False) -> None:
        """Load the reading page anew, in a window of this size inside."""
        self.load(width_px, height_px, is_phone=is_phone)
        self.wait(lambda: self.all("body[data-ready]"))

    def load(self, width_px: int = 1440, height_px: int = 900, *, is_phone: bool = False) -> None:
        """Load any page anew, in a window of this size inside."""
        metrics = {"width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": is_phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(self.address)

    def choose(self, files: Sequence[Path]) -> None:
        """Choose files as from the disk, and wait for their answers."""
        self.one("#chooser").send_keys("\n".join(map(str, files)))
        self.wait(lambda: len(self.all("#list button")) >= len(files) and "waiting…" not in self.text("#list"))

    def press(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def tab_to(self, selector: str, most: int = 30) -> None:
        """Move the focus by the tabulator to the element, which it must reach within `most` steps."""
        for _ in range(most):
            ActionChains(self.driver).send_keys(Keys.TAB).perform()  # a chooser of files takes keys for a name
            if self.script("return document.activeElement.matches(arguments[0])", selector):
                return
        raise AssertionError(f"the tabulator does not reach {selector}")

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.script("return document.querySelector(arguments[0]).innerText", selector))

    def texts(self, selector: str) -> list[str]:
        """Return the texts of all such elements, at one moment."""
        found = self.script("return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText)", selector)
        return [str(text) for text in found]

    def controls(self) -> list[tuple[str, str]]:
        """Return role and name of every control, as a screen reader has them."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        shown = [node for node in tree if not node["ignored"]]
        named = [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in shown]
        return [(role, name) for role, name in named if role in CONTROL_ROLES]

    def require_plain_names(self, *expected: str) -> None:
        """Require that every control has a name, that none ends in the key that stands beside it, and these names."""
        found = self.controls()
        assert [role for role, name in found if not name] == [], found
        assert [name for _, name in found if LONE_KEY.search(name)] == []
        assert set(expected) <= {name for _, name in found}, found

    def script(self, code: str, *arguments: Any) -> Any:
        return self.driver.execute_script(code, *arguments)

    def wait(self, condition: Any) -> Any:
        """Wait until `condition()` is true. The page may draw anew meanwhile what it looks at."""
        waiting = WebDriverWait(self.driver, WAIT_S, ignored_exceptions=[StaleElementReferenceException])
        return waiting.until(lambda _: condition())

    def wait_for_overlay(self) -> None:
        """Wait until the map lies over the picture."""
        self.wait(lambda: self.all("#picture:not([hidden])") and self.all("#overlay:not([hidden])"))

    @contextmanager
    def without(self, path: str) -> Iterator[None]:
        """Let requests to addresses that begin with `path` fail meanwhile, as without a network."""
        self.script(
            "const [path] = arguments; const ask = window.fetch; window.mend = () => { window.fetch = ask; };"
            "window.fetch = (to, how) => to.startsWith(path) ? Promise.reject(new TypeError('cut')) : ask(to, how);",
            path,
        )
        yield
        self.script("window.mend()")

    def complaints(self) -> list[str]:
        """Return what the browser has complained of since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def reading_page(address: str) -> Iterator[Page]:
    """Open a browser for the page at `address`; skips where there is none."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs chromium and chromedriver on the path (packages chromium and chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ["SE_OFFLINE"] = "true"
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Page(chrome, address)
    finally:
        chrome.quit()


__all__ = ["Keys", "Page", "reading_page"]
