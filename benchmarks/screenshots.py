"""Pictures of Prefect's and MLflow's pages for docs/orchestration.md: `python -m benchmarks.screenshots`.

Needs a running `coronet up` on whose servers a `retrain` has run every stage, and Chromium. An empty address, such as
`--prefect ""`, leaves out the pictures of that page.
"""

import argparse
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
WIDTH_PX, HEIGHT_PX = 1300, 900
ASSISTANT_PX = 446
"""Width of the panel that MLflow opens in a new browser, for an assistant that needs a language model."""
EXPERIMENT = "coronet"


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


def mlflow_run(address: str) -> str:
    """Return the path of MLflow's page of the last run that has ended well."""

    def ask(method: str, path: str, **options: Any) -> Any:
        return (
            httpx.request(method, f"{address}/api/2.0/mlflow/{path}", timeout=30, **options).raise_for_status().json()
        )

    named = {"experiment_name": EXPERIMENT}
    experiment = ask("GET", "experiments/get-by-name", params=named)["experiment"]["experiment_id"]
    wanted = {
        "experiment_ids": [experiment],
        "filter": "tags.mlflow.source.name = 'coronet pipeline' and attributes.status = 'FINISHED'",
        "order_by": ["attributes.start_time DESC"],
        "max_results": 1,
    }
    runs = ask("POST", "runs/search", json=wanted).get("runs", [])
    if not runs:
        sys.exit(f"{address}: no run has ended well yet: start one, such as by `coronet run`")
    return f"#/experiments/{experiment}/runs/{runs[0]['info']['run_id']}?workflowType=machine_learning"


def _ran_every_stage(ask: Callable[..., Any], run: str) -> bool:
    tasks = ask("task_runs/filter", flow_runs={"id": {"any_": [run]}})
    return all(task["state_name"] == "Completed" for task in tasks)


def main(prefect: str, mlflow: str) -> None:
    """Take the pictures of the pages at these addresses; those of an empty one are left out."""
    if chromium() is None:
        sys.exit("Chromium is not on the path: install it, as `apt-get install chromium` does")
    FOLDER.mkdir(exist_ok=True)
    for name, path in pages(f"{prefect}/api").items() if prefect else ():
        _take(f"{prefect}/{path}", FOLDER / f"prefect-{name}.png")
    if mlflow:
        _take(f"{mlflow}/{mlflow_run(mlflow)}", FOLDER / "mlflow-run.png", beside_px=ASSISTANT_PX)


def _take(url: str, target: Path, beside_px: int = 0) -> None:
    """Write the picture of the page at `url`, without the `beside_px` on its right."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "page.png")
        screenshot(url, raw, WIDTH_PX + beside_px, HEIGHT_PX)
        shown = Image.open(raw).convert("RGB").crop((0, 0, WIDTH_PX, HEIGHT_PX))
        shown.quantize(COLOURS).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screenshots", description=__doc__)
    parser.add_argument("--prefect", default="http://127.0.0.1:4200", help="Address of Prefect's page.")
    parser.add_argument("--mlflow", default="http://127.0.0.1:5000", help="Address of MLflow's page.")
    options = parser.parse_args()
    main(options.prefect.rstrip("/"), options.mlflow.rstrip("/"))
