"""Names of flow runs: params, data and code, so that a list of runs can be read."""

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from prefect import get_client, runtime

from coronet_core.support.errors import ParamsError
from flows.monitoring.server_wait import retry_until_reachable
from tasks.runtime.external_text import printable
from tasks.runtime.params.file import PARAMS_FILE
from tasks.runtime.params.presets import PRESETS, merged, read_files
from tasks.runtime.paths import SPLIT, SPLIT_STAGE
from tasks.runtime.tracking.provenance import DIGITS, dvc_hashes, short_commit

OWN: Final = "own params"
MAX_REASON: Final = 80


def name_flow_run(stale: Sequence[str], reason: str | None = None) -> str:
    """Call the flow run that this is by its reason, preset, data version and commit; returns the name.

    `stale` are the stages that have to run. To be called again when they have: before, there is no telling the version
    of data that are yet to be built. `reason` may come from outside.
    """
    name = f"{preset()}, data {_data_version(stale)}, code {short_commit()}"
    if reason:
        name = f"{printable(reason)[:MAX_REASON]}; {name}"
    if (run_id := runtime.flow_run.get_id()) is not None:
        retry_until_reachable(partial(_rename, UUID(run_id), name))
    return name


def _rename(run_id: UUID, name: str) -> None:
    with get_client(sync_client=True) as client:
        client.update_flow_run(run_id, name=name)


def preset() -> str:
    """Return the name of the preset with the values of the live params; `own params` if there is none."""
    live = merged(read_files(PARAMS_FILE))
    for path in sorted(PRESETS.glob("*.yaml")):
        with contextlib.suppress(ParamsError):  # a faulty file in the folder is no matter of this run
            if merged(read_files(path)) == live:
                return path.stem
    return OWN


def _data_version(stale: Sequence[str]) -> str:
    md5 = None if SPLIT_STAGE in stale else dvc_hashes(SPLIT_STAGE)["outs"].get(str(SPLIT))
    return "to be built" if md5 is None else md5[:DIGITS]
