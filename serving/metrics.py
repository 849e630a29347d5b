"""What Prometheus reads at `/metrics`: of a registry of its own, so several services can live in one process."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA_TYPE: Final = CONTENT_TYPE_LATEST
SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZES: Final = (1, 2, 4, 8, 16, 32, 64)


class ServiceMetrics:
    """Counters of one service. Labels are routes, classes and reasons: nothing of a client or an image."""

    def __init__(self, model_digest: str, waiting: Callable[[], int]) -> None:
        """`waiting` tells how many images are in the queue."""
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "coronet_requests", "Requests by route and status.", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "coronet_request_seconds", "From a request to its answer.", ["route"], buckets=SECONDS, registry=registry
        )
        self.refused = Counter("coronet_refused", "Requests that were refused.", ["reason"], registry=registry)
        self.images = Counter("coronet_images", "Images by what became of them.", ["outcome"], registry=registry)
        self.batch_images = Histogram(
            "coronet_batch_images", "Images that went through together.", buckets=SIZES, registry=registry
        )
        self.explanation_seconds = Histogram(
            "coronet_explanation_seconds", "A map by its method.", ["method"], buckets=SECONDS, registry=registry
        )
        waiting_images = Gauge("coronet_queue_images", "Images that wait for the networks.", registry=registry)
        waiting_images.set_function(waiting)
        model = Gauge("coronet_model_info", "The model that answers.", ["digest"], registry=registry)
        model.labels(model_digest).set(1)

    def exposition(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
