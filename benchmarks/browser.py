"""Pages as a headless Chromium shows them, their scripts run, and the token that pages send with what they change."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import httpx

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 20_000
"""Time that passes on the page, not on the clock: it stands still as long as the page waits for its server."""
TIMEOUT_S = 180


def chromium() -> str | None:
    """Return the browser's program, None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def screenshot(url: str, target: Path, width_px: int = 1300, height_px: int = 900) -> None:
    """Write a PNG of the page at `url` to `target`."""
    _browse(url, f"--screenshot={target}", f"--window-size={width_px},{height_px}", "--hide-scrollbars")


def rendered(url: str) -> str:
    """Return the document that the page at `url` has become."""
    return _browse(url, "--dump-dom")


def csrf_headers(api: str, client: str = "coronet") -> dict[str, str]:
    """Return the headers that Prefect's server at `api` asks for in requests that change something."""
    token = httpx.get(f"{api}/csrf-token", params={"client": client}, timeout=30).raise_for_status().json()["token"]
    return {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": client}


def _browse(url: str, *options: str) -> str:
    program = chromium()
    if program is None:
        raise FileNotFoundError("no Chromium on the path")
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        command += [f"--virtual-time-budget={PATIENCE_MS}", *options, url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=TIMEOUT_S).stdout
