"""The work pool, and what its workers do before they run a flow of this project."""

from pathlib import Path
from typing import Final

import flows
from coronet_core.support.credentials import hide_in_logs

POOL: Final = "coronet"
"""The work pool of all deployments, as `prefect.yaml` names it."""

TAG: Final = "coronet"
"""Of all flow runs, as `prefect.yaml` gives it to the deployments': the automations go by it."""


def enter_project() -> dict[str, str]:
    """Return the folder that the worker's own `coronet` is installed from; a pull step, so Prefect changes to it."""
    hide_in_logs()  # of the flow run, in whose process this is
    return {"directory": str(Path(flows.__file__).parent.parent)}
