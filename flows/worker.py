"""What a worker does before it runs a flow of this project."""

from pathlib import Path

import flows


def enter_project() -> dict[str, str]:
    """Return the folder that the worker's own `coronet` is installed from; a pull step, so Prefect changes to it."""
    return {"directory": str(Path(flows.__file__).parent.parent)}
