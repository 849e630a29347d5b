"""Health, model and metrics of the service."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from coronet_core.common.classes import CLASSES, DISPLAY_NAMES, ClassName
from serving.answers import facts_of
from serving.current_service import CurrentService
from serving.explanations import DEFAULT_METHOD, METHODS
from serving.guards.request_log import MEDIA_TYPE
from serving.openapi import problems
from serving.problems import too_busy
from serving.service import Service
from tasks.runtime.params.explain import MethodName


class State(BaseModel):
    """How the service is."""

    status: str = Field(description="`ok`")


class Readiness(State):
    """Whether the service can answer, and with what."""

    model: str = Field(description="Digest of the model that answers.")
    behind: str | None = Field(description="Why it is not the one that the alias means now; null if it is.")


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
    stores_verdicts: bool = Field(description="Whether verdicts of readers are stored: POST /verdicts.")
    logs_answers: bool = Field(description="Whether hashes and scores, without pixels, are logged.")
    card: str = Field(description="The model card, Markdown; empty if there is none.")


def status_routes(current: CurrentService) -> APIRouter:
    """Return the routes that tell of the service in use."""
    router = APIRouter(tags=["status"])

    @router.get("/health", responses=problems())
    async def health() -> State:
        """Say that the process lives."""
        return State(status="ok")

    @router.get("/ready", responses=problems(503))
    async def ready() -> Readiness:
        """Say that the model is loaded and the queue has room."""
        if not current.service.is_ready:
            raise too_busy("The queue of images is full")
        return Readiness(status="ok", model=current.service.served.model.digest, behind=current.behind)

    @router.get("/metrics", response_class=Response, responses=problems() | {200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Tell Prometheus."""
        return Response(current.metrics.exposition(), media_type=MEDIA_TYPE)

    @router.get("/model", responses=problems())
    async def model() -> ModelDescription:
        """Describe the model that answers."""
        return describe_model(current.service)

    return router


def describe_model(service: Service) -> ModelDescription:
    """Return what `/model` tells."""
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
        stores_verdicts=settings.verdicts is not None,
        logs_answers=served.logs_answers,
        card=served.card,
    )
