"""`python -m tasks STAGE [ITEM]`: what `dvc.yaml` runs. One line on standard error says what went wrong."""

import argparse
import importlib
import sys
from dataclasses import asdict

from tasks.edge import exit_code
from tasks.orphans import die_with_parent
from tasks.params.file import read_params
from tasks.paths import MANIFEST
from tasks.stage import StageContext
from tasks.tracking.delivery import deliver_leftovers
from tasks.tracking.run import StageRun

STAGES = {
    "build_split": ["data"],
    "train_autoencoder": ["autoencoder"],
    "materialize_residuals": ["residuals"],
    "train_cin": ["cin"],
    "calibrate": ["calibrate"],
    "evaluate": ["evaluate"],
    "audit": ["audit"],
    "explain": ["explain"],
    "report": [],
}
"""The stages and the sections of the params that MLflow is told with them."""
ITEMS = {"train_autoencoder": ("healthy", "pneumonia")}


def main(arguments: list[str] | None = None) -> int:
    """Run a stage; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tasks", description="Run one stage of the DAG.")
    parser.add_argument("stage", choices=list(STAGES))
    parser.add_argument("item", nargs="?", help="which autoencoder: healthy or pneumonia")
    options = parser.parse_args(arguments)
    if options.item not in ITEMS.get(options.stage, (None,)):
        allowed = " or ".join(ITEMS.get(options.stage, ("no item",)))
        parser.error(f"{options.stage} takes {allowed}, not {options.item or 'none'}")
    die_with_parent()
    return exit_code(lambda: run_stage(options.stage, options.item))


def run_stage(stage: str, item: str | None) -> None:
    """Run a stage and track it."""
    params = read_params()
    name = stage if item is None else f"{stage}@{item}"
    told = {section: asdict(params)[section] for section in STAGES[stage]} | {"seed": params.seed}
    module = importlib.import_module(f"tasks.{stage}")  # late, so that a stage loads only what it needs
    with StageRun(name, told) as tracking:
        context = StageContext(name=name, params=params, tracking=tracking)
        module.run(context, *([] if item is None else [item]))
        tracking.dataset(MANIFEST)
    deliver_leftovers()


if __name__ == "__main__":
    sys.exit(main())
