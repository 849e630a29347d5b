"""A Prefect server for one flow run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

from flows.servers.commands import prefect_server
from flows.servers.server_process import child_server, free_port

LAST_MESSAGES_S: Final = 5.0


@contextmanager
def temporary_prefect_server() -> Iterator[None]:
    """Have a Prefect server for as long as this lasts: the one that is configured or, without one, one of our own.

    Prefect would start one by itself, which a killed flow leaves behind. Both use the same database.
    """
    if PREFECT_API_URL.value():
        yield
        return
    server = prefect_server(free_port(), has_page=False)
    settings = {PREFECT_API_URL: f"{server.page}/api", PREFECT_UI_URL: ""}  # or Prefect prints where a page would be
    with child_server("prefect", server), temporary_settings(settings):
        try:
            yield
        finally:  # what is still on its way, before the server goes
            APILogHandler().flush()
            EventsWorker.drain_all(timeout=LAST_MESSAGES_S)
