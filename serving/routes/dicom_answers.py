"""Answers as DICOM: the structured report of a prediction, and a map as a secondary capture, for one DICOM file."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from coronet_core.support.errors import DataError
from serving.explanations import Explanation, Target
from serving.openapi import MODEL_HEADER
from serving.problems import Problem
from serving.service import Service
from serving.uploads import Upload
from tasks.inference.dicom_report.report_file_names import file_name
from tasks.inference.dicom_report.source_study import NOT_DICOM, source_of
from tasks.inference.seen_area import seen_area
from tasks.runtime.params.explain import MethodName

if TYPE_CHECKING:
    import pydicom

MEDIA_TYPE: Final = "application/dicom"
DICOM_CONTENT: Final[dict[str, Any]] = {MEDIA_TYPE: {"schema": {"type": "string", "contentMediaType": MEDIA_TYPE}}}
ONLY_OF_DICOM: Final = (
    "Only a DICOM file has an answer in DICOM: it belongs to the study that the file names. Send one, or ask /predict "
    "or /explain for JSON."
)


@dataclass(frozen=True)
class DicomAnswer:
    """A DICOM file, its name, and the digest of the model that made it."""

    content: bytes
    name: str
    model: str

    def response(self) -> Response:
        """Return it as a file to store; the name has nothing of the patient."""
        headers = {"Content-Disposition": f'attachment; filename="{self.name}"', MODEL_HEADER: self.model}
        return Response(self.content, headers=headers, media_type=MEDIA_TYPE)


async def report_of(service: Service, upload: Upload) -> DicomAnswer:
    """Return the structured report of an upload. Raises Problem: 422 if it has none, 503 if a queue is full."""
    source = await _source(service, upload)
    row = await service.row_of(upload, await service.decode(upload))
    return await asyncio.to_thread(_report, source, row, service.served.model.digest)


async def map_capture(service: Service, upload: Upload, method: MethodName, label: Target) -> DicomAnswer:
    """Return the map of an upload as a secondary capture. Raises Problem as `report_of` does, and as `explain`."""
    source = await _source(service, upload)
    image = await service.decode(upload)
    row = await service.row_of(upload, image)
    made = await service.explain(image, method, label)
    seen = await service.preview(upload)
    return await asyncio.to_thread(_capture, service, source, seen, row, made, image.upright_px)


async def _source(service: Service, upload: Upload) -> "pydicom.Dataset":
    try:
        return await service.limited(source_of, upload.content)
    except DataError as error:
        detail = ONLY_OF_DICOM if str(error) == NOT_DICOM else str(error)
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, reason="no_report") from error


def _report(source: "pydicom.Dataset", row: dict[str, Any], model_digest: str) -> DicomAnswer:
    from tasks.inference.dicom_report import structured_report as sr  # late: highdicom takes a second

    made = sr.structured_report(source, row, model_digest)
    return DicomAnswer(made, file_name(sr.KIND, sr.report_uid(source, row["sha256"], model_digest)), model_digest)


def _capture(
    service: Service,
    source: "pydicom.Dataset",
    seen: bytes,
    row: dict[str, Any],
    made: Explanation,
    upright_px: tuple[int, int],
) -> DicomAnswer:
    from tasks.inference.attribution import MapSettings
    from tasks.inference.dicom_report import secondary_capture as sc
    from tasks.inference.dicom_report.map_picture import ExplainedMap, map_picture

    served = service.served
    explained = ExplainedMap(
        values=made.values,
        label=made.label,
        probability=float(row[f"calibrated_{made.label}"]),
        method=made.method,
        area=seen_area(*upright_px, served.model.aspect),
    )
    settings = (made.label, MapSettings(params=served.explain, seed=served.seed))
    capture = sc.secondary_capture(
        source, map_picture(seen, explained), explained, row["sha256"], served.model.digest, *settings
    )
    uid = sc.capture_uid(source, row["sha256"], served.model.digest, made.method, *settings)
    return DicomAnswer(capture, file_name(sc.KIND, uid), served.model.digest)
