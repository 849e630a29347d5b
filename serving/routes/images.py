"""Requests with images: predictions, maps, residuals, previews."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from coronet_core.common.classes import ClassName
from coronet_core.data.reading.image import DecodedImage
from serving.current_service import By, CurrentServices
from serving.explanations import DEFAULT_METHOD, Target, map_png
from serving.openapi import MODEL_HEADER, files_made, problems
from serving.problems import SafeJsonResponse
from serving.response_models import Answers
from serving.routes.dicom_answers import DICOM_CONTENT, map_capture
from serving.service import Service
from serving.settings import ServingSettings
from serving.uploads import Upload, body_description, read_uploads
from tasks.inference.seen_area import Area, seen_area
from tasks.runtime.params.explain import MethodName

PNG: Final = "image/png"
BRIGHT_PERCENTILE: Final = 99.5
LEAST_WHITE: Final = 0.02
"""Residuals that are all smaller are rounding: they are not drawn as if they were something."""

Form = Annotated[Literal["json", "png"], Query(alias="format", description="Numbers, or a grey picture of them.")]
MapForm = Annotated[
    Literal["json", "png", "dicom"],
    Query(alias="format", description="Numbers, a grey picture, or of a DICOM file its study's secondary capture."),
]

AreaOnImage = Annotated[
    list[float],
    Field(min_length=4, max_length=4, description="Left, top, right, bottom of the map, as fractions of the image."),
]


class AttributionMap(BaseModel):
    """Where the evidence for a class lies."""

    model: str = Field(description="Digest of the model.")
    method: MethodName
    label: ClassName = Field(description="The class that is explained.")
    area: AreaOnImage
    maximum: float = Field(description="The largest value; white in a picture.")
    seconds: float
    values: list[list[float]] = Field(description="(H, W), at least 0.")


class ResidualTensor(BaseModel):
    """What the autoencoders fail to reconstruct: |X - F_H|, |X - F_P| and |2X - F_H - F_P|, eq. (5) to (7)."""

    model: str = Field(description="Digest of the model.")
    area: AreaOnImage
    white: float = Field(description="The value that is white in pictures, the same for both autoencoders.")
    values: list[list[list[float]]] = Field(description="(3, H, W), at least 0.")


async def _in_use(
    request: Request, by: Annotated[By, Query(description="Which model answers, if a challenger is served.")] = "model"
) -> AsyncIterator[Service]:
    services: CurrentServices = request.app.state.services
    async with services.by(by).use() as service:
        yield service


InUse = Annotated[Service, Depends(_in_use)]
"""The service that answers a request, from its beginning to its end."""


def image_routes(settings: ServingSettings) -> APIRouter:
    """Return the routes that take images to the service in use."""
    router = APIRouter(tags=["images"])
    one, several = body_description(1), body_description(settings.files)

    async def single(request: Request) -> Upload:
        return await single_upload(request, settings)

    @router.post("/predict", responses=problems(of_work=True), openapi_extra=several)
    async def predict(request: Request, service: InUse) -> Answers:
        """Predict one or several images. An unreadable one gets a reason instead; if all are unreadable, status 422."""
        uploads = await read_uploads(request, settings, settings.files)
        request.state.images = len(uploads)
        return Answers(model=service.served.model.digest, answers=await service.predict(uploads))

    @router.post("/explain", response_model=AttributionMap, responses=_maps(), openapi_extra=one)
    async def explain(
        request: Request,
        service: InUse,
        method: MethodName = DEFAULT_METHOD,
        label: Target = "predicted",
        form: MapForm = "json",
    ) -> Response:
        """Return the attribution map of an image: where the evidence for a class lies."""
        upload = await single(request)
        if form == "dicom":
            return (await map_capture(service, upload, method, label)).response()
        image = await service.decode(upload)
        made = await service.explain(image, method, label)
        maximum, seconds = float(made.values.max()), round(made.seconds, 3)
        if form == "png":
            details = {
                "method": method,
                "label": made.label,
                "maximum": maximum,
                "seconds": seconds,
                "area": area_of(service, image),
            }
            return _picture(service, map_png(made.values, maximum), details)
        return _numbers(
            AttributionMap(
                model=service.served.model.digest,
                method=method,
                label=made.label,
                area=list(area_of(service, image)),
                maximum=maximum,
                seconds=seconds,
                values=_rounded(made.values),
            )
        )

    @router.post("/residuals", response_model=ResidualTensor, responses=_pictures(), openapi_extra=one)
    async def residuals(
        request: Request, service: InUse, of: Literal["healthy", "pneumonia"] = "healthy", form: Form = "json"
    ) -> Response:
        """Return what both autoencoders fail to reconstruct, as numbers, or one of them, as a picture."""
        image = await service.decode(await single(request))
        values = await service.residuals(image)  # (3, H, W)
        white = max(float(np.percentile(values[:2].astype(np.float32), BRIGHT_PERCENTILE)), LEAST_WHITE)
        if form == "png":
            channel = values[0 if of == "healthy" else 1].astype(np.float32)
            details = {"of": of, "white": round(white, 4), "area": area_of(service, image)}
            return _picture(service, map_png(channel, white), details)
        return _numbers(
            ResidualTensor(
                model=service.served.model.digest,
                area=list(area_of(service, image)),
                white=white,
                values=_rounded(values),
            )
        )

    @router.post("/preview", response_class=Response, responses=_pictures(), openapi_extra=one)
    async def preview(request: Request, service: InUse) -> Response:
        """Return an image as it was read: upright, grey, air dark, 8 bits, in its own proportions."""
        return _picture(service, await service.preview(await single(request)), {})

    return router


async def single_upload(request: Request, settings: ServingSettings) -> Upload:
    """Return the one file of `request`. Raises Problem."""
    (upload,) = await read_uploads(request, settings, max_files=1)
    request.state.images = 1
    return upload


def area_of(service: Service, image: DecodedImage) -> Area:
    """Return which part of `image` the networks see."""
    return seen_area(*image.upright_px, service.served.model.aspect)


def _pictures() -> dict[int | str, dict[str, Any]]:
    return files_made({PNG: {"schema": {"type": "string", "contentMediaType": PNG}}})


def _maps() -> dict[int | str, dict[str, Any]]:
    described = _pictures()
    described[200]["content"] |= DICOM_CONTENT
    return described


def _picture(service: Service, content: bytes, details: dict[str, Any]) -> Response:
    headers = {f"X-Map-{key}": _header(value) for key, value in details.items()}
    headers[MODEL_HEADER] = service.served.model.digest
    return Response(content, headers=headers, media_type=PNG)


def _header(value: Any) -> str:
    return ",".join(f"{part:.6f}" for part in value) if isinstance(value, tuple) else str(value)


def _numbers(details: BaseModel) -> Response:
    return SafeJsonResponse(details.model_dump())


def _rounded(values: Any) -> Any:
    return np.round(values.astype(np.float64), 6).tolist()
