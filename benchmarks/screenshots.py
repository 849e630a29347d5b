"""Pictures of Prefect's page for docs/orchestration.md: `python -m benchmarks.screenshots [http://127.0.0.1:4200]`.

Needs a running `coronet up` on whose server a `retrain` has run every stage, and Chromium.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from benchmarks.browser import chromium, csrf_headers, screenshot

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
COLOURS = 96
"""Enough for a page of text and boxes; files stay small."""


def pages(api: str) -> dict[str, str]:
    """Return what to show, by name, as paths of Prefect's page: of the last run that ran every stage."""

    def ask(path: str, **body: Any) -> Any:
        method = "POST" if body else "GET"
        headers = csrf_headers(api) if body else {}
        answer = httpx.request(method, f"{api}/{path}", json=body or None, headers=headers, timeout=30)
        return answer.raise_for_status().json()

    deployment = ask("deployments/name/retrain/retrain")["id"]
    wanted = {"name": {"any_": ["Completed"]}}
    runs = ask(
        "flow_runs/filter", flows={"name": {"any_": ["retrain"]}}, flow_runs={"state": wanted}, sort="END_TIME_DESC"
    )
    whole = [run["id"] for run in runs if _ran_every_stage(ask, run["id"])]
    if not whole:
        sys.exit("no run of retrain has run every stage yet: start one on the deployment's page, in a fresh clone")
    run = whole[0]
    artifacts = ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run]}})
    keys = {artifact["key"]: artifact["id"] for artifact in artifacts}
    return {
        "run": f"v2/runs/flow-run/{run}",
        "metrics": f"v2/artifacts/artifact/{keys['metrics']}",
        "report": f"v2/artifacts/artifact/{keys['report']}",
        "deployment": f"v2/deployments/deployment/{deployment}",
    }


def _ran_every_stage(ask: Callable[..., Any], run: str) -> bool:
    tasks = ask("task_runs/filter", flow_runs={"id": {"any_": [run]}})
    return all(task["state_name"] == "Completed" for task in tasks)


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
