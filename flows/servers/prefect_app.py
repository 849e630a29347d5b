"""Prefect's server behind the guard: `python -m flows.servers.prefect_app PORT`.

What `prefect server start` runs, on this machine's loopback. Prefect's own environment variables are its settings.
"""

import sys

import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import get_current_settings

from flows.servers.cross_site_guard import guarded
from flows.servers.server_process import HOST


def main() -> None:
    """Serve until a signal ends it."""
    settings = get_current_settings().server
    uvicorn.run(
        guarded(create_app(final=True)),
        host=HOST,
        port=int(sys.argv[1]),
        timeout_keep_alive=settings.api.keepalive_timeout,
        ws_ping_interval=settings.api.websocket_ping_interval,
        ws_ping_timeout=settings.api.websocket_ping_timeout,
        log_level=settings.logging_level.lower(),
    )


if __name__ == "__main__":
    main()
