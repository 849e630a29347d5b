"""The command `python -m tasks STAGE [ITEM]`: its arguments, and the stage in this process or in several."""

import argparse
import importlib
import signal
from dataclasses import asdict

from coronet_core.support.errors import CoroNetError
from tasks.runtime.compute.distributed import NO_GROUP, DistributedContext, is_rank
from tasks.runtime.compute.parent_death import die_with_parent
from tasks.runtime.compute.slurm_settings import settings_of_stage
from tasks.runtime.error_handling import exit_code
from tasks.runtime.former_outs import restore_former_outs
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import ITEMS, MANIFEST, STAGES
from tasks.runtime.progress import log
from tasks.runtime.resource_limits import require_address_space
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.mlflow_delivery import deliver_leftovers
from tasks.runtime.tracking.stage_run import SilentRun, StageRun, is_delivered_elsewhere
from tasks.runtime.tracking.temporary_folders import share_records

PARALLEL = ("train_autoencoder", "train_cin")
"""The stages that may run as several processes that train together."""


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
    if is_rank():
        from tasks.runtime.compute.launch import (
            exit_code_of_rank,  # late: what is imported above starts without torch
        )

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the launcher's affair: no traceback of each rank
        return exit_code_of_rank(lambda: run_as_rank(options.stage, options.item), options.stage)
    if code := exit_code(lambda: run_stage(options.stage, options.item), options.stage):
        restore_former_outs(name_of(options.stage, options.item))
    return code


def run_as_rank(stage: str, item: str | None) -> None:
    """Run a stage together with the other processes that torchrun has started."""
    from tasks.runtime.compute.launch import joined

    if stage not in PARALLEL:
        raise CoroNetError(f"{stage} runs in one process. Start it without torchrun.")
    params = read_params()
    with joined(params) as distributed:
        run_here(stage, item, params, distributed)


def run_stage(stage: str, item: str | None) -> int:
    """Run a stage in this process, in several that it launches, or as a SLURM job; returns the exit code."""
    arguments = [stage] if item is None else [stage, item]
    if (settings := settings_of_stage(name_of(stage, item))) is not None:
        from tasks.runtime.compute.slurm_job import run_as_job  # late: an extra

        return run_as_job(name_of(stage, item), arguments, settings)
    require_address_space()
    params = read_params()
    if params.training_processes == 1 or stage not in PARALLEL:
        run_here(stage, item, params, NO_GROUP)
    else:
        from tasks.runtime.compute.launch import launch

        launch(name_of(stage, item), arguments, params)
    return 0


def name_of(stage: str, item: str | None) -> str:
    """Return what DVC calls a stage with its item."""
    return stage if item is None else f"{stage}@{item}"


def run_here(stage: str, item: str | None, params: Params, distributed: DistributedContext) -> None:
    """Run a stage in this process and, if it leads its group, track it."""
    if distributed.ranks.leads:
        share_records()
    name = name_of(stage, item)
    logged = {section: asdict(params)[section] for section in STAGES[stage]} | {"seed": params.seed}
    module = importlib.import_module(f"tasks.{stage}.stage")  # late, so that a stage loads only what it needs
    with StageRun(name, logged) if distributed.ranks.leads else SilentRun() as tracking:
        if tracking.resumption is not None:
            log(tracking.resumption)
        context = StageContext(name=name, params=params, tracking=tracking, distributed=distributed)
        module.run(context, *([] if item is None else [item]))
        tracking.dataset(MANIFEST)
    if distributed.ranks.leads and not is_delivered_elsewhere():
        deliver_leftovers()
