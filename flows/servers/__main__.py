"""One server in the foreground, until Ctrl-C: `python -m flows.servers prefect` or `mlflow`."""

import argparse
import os
import sys

from coronet_core.support.errors import CoroNetError
from flows.servers.addresses import MLFLOW_PORT, PREFECT_PORT
from flows.servers.commands import mlflow_server, prefect_server
from tasks.runtime.tracking.mlflow_delivery import repair_own_store

SERVERS = {"prefect": (prefect_server, PREFECT_PORT), "mlflow": (mlflow_server, MLFLOW_PORT)}


def main() -> None:
    """Say where the server will be, and become it."""
    parser = argparse.ArgumentParser(prog="python -m flows.servers", description="Serve Prefect's or MLflow's page.")
    parser.add_argument("name", choices=list(SERVERS))
    parser.add_argument("--port", type=int, help="Default: 4200 for Prefect, 5000 for MLflow.")
    options = parser.parse_args()
    make, default_port = SERVERS[options.name]
    if options.name == "mlflow":
        try:
            repair_own_store()
        except CoroNetError as error:
            parser.exit(1, f"error: {error}\n")
    server = make(options.port or default_port)
    print(f"{server.title}: {server.page} (Ctrl-C stops it)", flush=True)
    os.execve(sys.executable, [sys.executable, "-m", *server.command], server.environment)  # noqa: S606  # a fixed command


if __name__ == "__main__":
    main()
