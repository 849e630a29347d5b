"""An image to try the service with: a drawing, since X-rays of patients are not part of the program."""

from functools import cache
from typing import Final

from fastapi import APIRouter
from PIL import Image
from starlette.responses import Response

from coronet_core.common.classes import ClassName
from coronet_core.data.sources import phantom
from serving.explanations import png
from serving.openapi import problems

SEED: Final = 2020
PATIENT: Final = "example"
SIDE_PX: Final = 512


def example_routes() -> APIRouter:
    """Return the route of the example."""
    router = APIRouter(tags=["images"])

    @router.get("/example", response_class=Response, responses=problems(422) | {200: {"content": {"image/png": {}}}})
    def example(label: ClassName = "pneumonia") -> Response:
        """Return a synthetic image of a class: a drawing of a chest X-ray, PNG. It shows no patient."""
        return Response(_drawing(label), media_type="image/png")

    return router


@cache
def _drawing(label: ClassName) -> bytes:
    pixels, _ = phantom.draw(SEED, label, PATIENT, 0, SIDE_PX)  # (SIDE_PX, SIDE_PX)
    return png(Image.fromarray(pixels))
