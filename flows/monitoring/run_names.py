"""Names of flow runs: params, data and code, so that a list of runs can be read."""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

from prefect import get_client, runtime
from prefect.context import FlowRunContext

from coronet_core.support.errors import CoroNetError, ParamsError
from flows.monitoring.server_wait import retry_until_reachable
from tasks.runtime.params.checks import PARAMS_FILE
from tasks.runtime.params.presets import PRESETS, merged, read_files
from tasks.runtime.paths import SPLIT, SPLIT_STAGE
from tasks.runtime.safe_text.terminal import printable
from tasks.runtime.tracking.provenance import DIGITS, dvc_hashes, short_commit

OWN: Final = "own params"
MAX_REASON: Final = 80
MAX_NAME: Final = 120


def name_at_start() -> str:
    """Return what a run of the flow `retrain` is called until it knows its data: reason, preset and commit.

    It is what Prefect prints, on its page too, instead of a name of its own.
    """
    given = runtime.flow_run.get_parameters()
    file = given.get("params_file")
    try:
        name = f"{preset(PARAMS_FILE if file is None else Path(file))}, code {short_commit()}"
    except CoroNetError:  # a fault of the params, which the flow itself reports
        name = f"code {short_commit()}"
    return _with_reason(given.get("reason"), name)


def name_flow_run(stale: Sequence[str], reason: str | None = None) -> str:
    """Call the flow run that this is by its reason, preset, data version and commit; returns the name.

    `stale` are the stages that have to run. To be called again when they have: before, there is no telling the version
    of data that are yet to be built. `reason` may come from outside.
    """
    name = _with_reason(reason, f"{preset()}, data {_data_version(stale)}, code {short_commit()}")
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        retry_until_reachable(partial(_rename, context.flow_run.id, name))
        context.flow_run.name = name  # in its further lines of the log
    return name


def called(template: str, **if_none: str) -> Callable[[], str]:
    """Return what names a flow run by its parameters; `if_none` has templates for those that are not given.

    They may come from outside: the name is one line, and not a long one.
    """

    def name() -> str:
        given = runtime.flow_run.get_parameters()
        known = {key: value for key, value in given.items() if value is not None}
        others = {key: value.format(**known) for key, value in if_none.items()}
        return printable(template.format(**others | known))[:MAX_NAME]

    return name


def _with_reason(reason: str | None, name: str) -> str:
    return f"{printable(reason)[:MAX_REASON]}; {name}" if reason else name


def _rename(run_id: UUID, name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(run_id, name=name)


def preset(params_file: Path = PARAMS_FILE) -> str:
    """Return the name of the preset with the values of `params_file`; `own params` if there is none."""
    live = merged(read_files(params_file))
    for path in sorted(PRESETS.glob("*.yaml")):
        with contextlib.suppress(ParamsError):  # a faulty file in the folder is no matter of this run
            if merged(read_files(path)) == live:
                return path.stem
    return OWN


def _data_version(stale: Sequence[str]) -> str:
    md5 = None if SPLIT_STAGE in stale else dvc_hashes(SPLIT_STAGE)["outs"].get(str(SPLIT))
    return "to be built" if md5 is None else md5[:DIGITS]
