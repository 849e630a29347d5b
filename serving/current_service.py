"""The service in use, and a challenger beside it.

When a service is replaced, requests that have begun end with the former one, which is then closed.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal, Self

from serving.guards.service_metrics import ServiceMetrics
from serving.problems import Problem
from serving.service import Service

By = Literal["model", "challenger"]
"""Who answers."""
NO_CHALLENGER: Final = "by = challenger: this service has none. Start it with --challenger SOURCE, or leave `by` out."


class CurrentService:
    """Gives the service in use to each request. Open as long as its context is."""

    def __init__(self, first: Service, metrics: ServiceMetrics) -> None:
        """`first` is in use until it is replaced."""
        self.service = first
        self.metrics = metrics
        self.behind: str | None = None
        """Why the service in use is not the one that it should be; None if it is."""
        self._in_use: Counter[Service] = Counter()
        self._report_model()

    async def __aenter__(self) -> Self:
        await self.service.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for service in {self.service, *self._in_use}:
            await service.__aexit__()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Service]:
        """Give the service in use to one request, which keeps it to its end."""
        service = self.service
        self._in_use[service] += 1
        try:
            yield service
        finally:
            self._in_use[service] -= 1
            await self._close_if_unused(service)

    async def switch_to(self, service: Service) -> None:
        """Use `service` from now on."""
        await service.__aenter__()
        former, self.service = self.service, service
        self._report_model()
        await self._close_if_unused(former)

    async def _close_if_unused(self, service: Service) -> None:
        if service is not self.service and not self._in_use[service]:
            del self._in_use[service]
            await service.__aexit__()

    def _report_model(self) -> None:
        self.metrics.in_use(self.service.served.model.digest, lambda: self.service.batcher.waiting)


@dataclass(frozen=True, kw_only=True)
class CurrentServices:
    """The model that is served, and the one that it is compared with, if there is one."""

    model: CurrentService
    challenger: CurrentService | None

    @property
    def all(self) -> tuple[CurrentService, ...]:
        """Both, or the one that there is."""
        return (self.model,) if self.challenger is None else (self.model, self.challenger)

    def by(self, name: By) -> CurrentService:
        """Return the one that is to answer. Raises Problem (422) if there is no challenger."""
        if name == "model":
            return self.model
        if self.challenger is None:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, NO_CHALLENGER, reason="no_challenger")
        return self.challenger
