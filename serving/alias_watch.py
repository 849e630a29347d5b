"""An alias of the registry, such as `models:/coronet@champion`, that may move to another version while it is served."""

import asyncio
import threading
from dataclasses import replace
from typing import Final

from serving.current_service import CurrentService
from serving.guards.request_log import print_line
from serving.service import Service
from tasks.inference.model_source import REGISTRY_SCHEME, load_model, model_card
from tasks.registry.versions import find_version

BEHIND: Final = "{source} cannot be looked up or loaded: the previous model stays in use. The service's log says why."


def is_alias(source: str) -> bool:
    """Whether `source` may come to mean another version."""
    return source.startswith(REGISTRY_SCHEME) and "@" in source


class AliasWatch:
    """Looks an alias up, again and again in a thread, and replaces the service once it means another model.

    A model that cannot be loaded replaces nothing; `CurrentService.behind` and the log say so. The thread is a daemon:
    a registry that does not answer does not hold up the end of the service.
    """

    def __init__(self, source: str, current: CurrentService, every_seconds: float) -> None:
        """`source` is the alias that the model of `current` comes from."""
        self._source = source
        self._current = current
        self._every_seconds = every_seconds
        self._ends = threading.Event()
        self._seen: str | None = None
        self._reported: str | None = None

    def start(self) -> None:
        """Begin. Must be called in the event loop of the service."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(loop,), name="alias", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ends.set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._ends.wait(self._every_seconds):
            try:
                self._look(loop)
            except Exception as error:  # noqa: BLE001  # whatever it is, the former model answers
                self._current.behind = BEHIND.format(source=self._source)
                self._report(f"{self._source}: {error}")
            else:
                self._current.behind = self._reported = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        version = find_version(self._source)
        if version.digest == self._seen:
            return
        model, former = load_model(version.uri), self._current.service
        if model.digest != former.served.model.digest:
            served = replace(former.served, model=model, card=model_card(version.uri))
            service = Service(served, former.settings, former.metrics)
            asyncio.run_coroutine_threadsafe(self._current.switch_to(service), loop).result()
            print_line(event="model_replaced", source=self._source, version=version.number, model=model.digest)
        self._seen = version.digest

    def _report(self, error: str) -> None:
        if error != self._reported:  # once, not at every look
            print_line(error=error)
        self._reported = error
