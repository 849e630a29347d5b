"""Pictures of Prefect's page for docs/orchestration.md: `python -m benchmarks.screenshots [http://127.0.0.1:4200]`.

Needs a running `coronet up` whose deployment `retrain` has run every stage at least once, and Chromium.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from benchmarks.browser import chromium, screenshot

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
COLOURS = 96
"""Enough for a page of text and boxes; files stay small."""


def pages(api: str) -> dict[str, str]:
    """Return what to show, by name, as paths of Prefect's page: of the last run that ran every stage."""

    def ask(path: str, **body: Any) -> Any:
        method = "POST" if body else "GET"
        return httpx.request(method, f"{api}/{path}", json=body or None, timeout=30).raise_for_status().json()

    deployment = ask("deployments/name/retrain/retrain")["id"]
    wanted = {"deployment_id": {"any_": [deployment]}, "state": {"name": {"any_": ["Completed"]}}}
    runs = ask("flow_runs/filter", flow_runs=wanted, sort="END_TIME_DESC")
    if not runs:
        sys.exit("no run of retrain has completed yet: start one on the deployment's page")
    run = runs[0]["id"]
    artifacts = ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}})
    keys = {artifact["key"]: artifact["id"] for artifact in artifacts}
    return {
        "run": f"v2/runs/flow-run/{run}",
        "metrics": f"v2/artifacts/artifact/{keys['metrics']}",
        "report": f"v2/artifacts/artifact/{keys['report']}",
        "deployment": f"v2/deployments/deployment/{deployment}",
    }


def main(address: str) -> None:
    """Take all pictures."""
    if chromium() is None:
        sys.exit("Chromium is not on the path: install it, as `apt-get install chromium` does")
    FOLDER.mkdir(exist_ok=True)
    for name, path in pages(f"{address}/api").items():
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder, "page.png")
            screenshot(f"{address}/{path}", raw)
            target = FOLDER / f"prefect-{name}.png"
            Image.open(raw).convert("RGB").quantize(COLOURS).save(target, optimize=True)
        print(f"{target}: {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:4200")
