"""Health, model and metrics of the service."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES, ClassName
from serving.current_service import By, CurrentService, CurrentServices
from serving.explanations import DEFAULT_METHOD, METHODS
from serving.guards.service_metrics import MEDIA_TYPE
from serving.openapi import problems
from serving.problems import too_busy
from serving.response_models import facts_of
from serving.service import Service
from tasks.runtime.params.explain import MethodName


class State(BaseModel):
    """How the service is."""

    status: str = Field(description="`ok`")


class InUse(BaseModel):
    """Which model answers."""

    model: str = Field(description="Digest of the model that answers.")
    behind: str | None = Field(description="Why it is not the version that the alias now names; null if it is.")


class Readiness(State, InUse):
    """Whether the service can answer, and with what."""

    challenger: InUse | None = Field(description="The model that it is compared with; null without one.")


class Limits(BaseModel):
    """What a client may ask for."""

    upload_bytes: int
    files: int
    rate: str
    explain_seconds: float


class ModelDescription(BaseModel):
    """The model that answers, and how this service is set up."""

    source: str
    digest: str
    image_size_px: int
    aspect: str = Field(description="How an image becomes square: stretch, crop or pad.")
    reading: int = Field(description="The version of the rule by which the values of a file become grey.")
    classes: dict[ClassName, str] = Field(description="Names to show, in the order of every list.")
    calibration: dict[str, Any]
    methods: list[MethodName]
    default_method: MethodName
    limits: Limits
    keeps_uploads: bool = Field(description="Whether uploaded images are stored.")
    challenger: str | None = Field(description="Source of the challenger, ?by=challenger; null without one.")
    stores_verdicts: bool = Field(description="Whether verdicts of readers are stored: POST /verdicts.")
    logs_answers: bool = Field(description="Whether hashes and scores, without pixels, are logged.")
    card: str = Field(description="The model card, Markdown; empty if there is none.")


def status_routes(services: CurrentServices) -> APIRouter:
    """Return the routes that tell of the services in use."""
    router = APIRouter(tags=["status"])

    @router.get("/health", responses=problems())
    async def health() -> State:
        """Say that the process lives."""
        return State(status="ok")

    @router.get("/ready", responses=problems(503))
    async def ready() -> Readiness:
        """Say that the model is loaded and the queue has room."""
        if not services.model.service.is_ready:
            raise too_busy("The queue of images is full")
        challenger = None if services.challenger is None else _in_use(services.challenger)
        return Readiness(status="ok", challenger=challenger, **_in_use(services.model).model_dump())

    @router.get("/metrics", response_class=Response, responses=problems() | {200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(b"".join(one.metrics.exposition() for one in services.all), media_type=MEDIA_TYPE)

    @router.get("/model", responses=problems(422))
    async def model(
        by: Annotated[By, Query(description="Which one, if a challenger is served.")] = "model",
    ) -> ModelDescription:
        """Describe the model that answers, or the challenger."""
        other = services.challenger if by == "model" else None
        return describe_model(services.by(by).service, None if other is None else other.service.served.source)

    return router


def _in_use(current: CurrentService) -> InUse:
    return InUse(model=current.service.served.model.digest, behind=current.behind)


def describe_model(service: Service, challenger: str | None) -> ModelDescription:
    """Return what `/model` tells. `challenger` is the source of the model that it is compared with."""
    served, settings = service.served, service.settings
    return ModelDescription(
        source=served.source,
        digest=served.model.digest,
        image_size_px=served.model.image_size_px,
        aspect=str(served.model.aspect),
        reading=served.model.reading,
        classes={label: DISPLAY_NAMES[label] for label in CLASSES},
        calibration=facts_of(served.model.calibration),
        methods=list(METHODS),
        default_method=DEFAULT_METHOD,
        limits=Limits(
            upload_bytes=settings.upload_bytes,
            files=settings.files,
            rate=settings.rate,
            explain_seconds=settings.explain_seconds,
        ),
        keeps_uploads=settings.keep is not None,
        challenger=challenger,
        stores_verdicts=settings.verdicts is not None,
        logs_answers=served.logs_answers,
        card=served.card,
    )
