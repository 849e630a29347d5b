"""Requests for DICOM objects of an image's study."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.openapi import files_made
from serving.routes.dicom_answers import DICOM_CONTENT, report_of
from serving.routes.images import InUse, single_upload
from serving.settings import ServingSettings
from serving.uploads import body_description

REPORT = files_made(DICOM_CONTENT)


def report_routes(settings: ServingSettings) -> APIRouter:
    """Return the routes that answer with structured reports."""
    router = APIRouter(tags=["images"])

    @router.post("/report", response_class=Response, responses=REPORT, openapi_extra=body_description(1))
    async def report(request: Request, service: InUse) -> Response:
        """Return the prediction of a DICOM file as a structured report of its study; it names the patient."""
        return (await report_of(service, await single_upload(request, settings))).response()

    return router
