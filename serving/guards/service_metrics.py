"""What the service counts, for Prometheus."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64)


class ServiceMetrics:
    """Counters of one service. Labels are routes, classes and reasons: nothing of a client or an image."""

    def __init__(self, prefix: str = "coronet") -> None:
        """`prefix` begins the names of all metrics."""
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            f"{prefix}_requests", "Requests by route and status.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            f"{prefix}_request_seconds", "Time to answer a request.", ["route"], buckets=SECONDS, registry=registry
        )
        self.connections_closed = Counter(
            f"{prefix}_connections_closed", "Connections that the service closed.", ["reason"], registry=registry
        )
        self.refused = Counter(f"{prefix}_refused", "Requests that were refused.", ["reason"], registry=registry)
        self.images = Counter(f"{prefix}_images", "Images by outcome.", ["outcome"], registry=registry)
        self.batch_images = Histogram(f"{prefix}_batch_images", "Images per batch.", buckets=SIZES, registry=registry)
        self.explanation_seconds = Histogram(
            f"{prefix}_explanation_seconds",
            "Time for a map.",
            ["method"],
            buckets=SECONDS,
            registry=registry,
        )
        self._waiting = Gauge(f"{prefix}_queue_images", "Images that wait for the networks.", registry=registry)
        self._model = Gauge(f"{prefix}_model_info", "The model in use.", ["digest"], registry=registry)

    def in_use(self, model_digest: str, waiting: Callable[[], int]) -> None:
        """Note which model answers; `waiting` tells how many images are in its queue."""
        self._model.clear()
        self._model.labels(model_digest).set(1)
        self._waiting.set_function(waiting)

    def exposition(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
