"""Uploaded files: from a body of bounded size, in memory alone, as a form or as JSON. Addresses are never followed."""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from uuid import uuid4

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from coronet_core.data.file_kinds import BEGINNING_BYTES, kind_of
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted
from coronet_core.support.whole_files import put_in_place, write_whole
from serving.problems import Problem, invalid
from serving.settings import MIB, ServingSettings

FORM: Final = "multipart/form-data"
JSON: Final = "application/json"
MAX_NAME: Final = 255
UNNAMED: Final = "unnamed"

Form = TypeVar("Form", bound=BaseModel)


@dataclass(frozen=True)
class Upload:
    """One file as it came."""

    name: str
    """As the client calls it: shown, never a path."""
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return sha256(self.content).hexdigest()


class EncodedImage(BaseModel):
    """A file within JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(max_length=MAX_NAME, description="Only shown.")] = UNNAMED
    content: Annotated[
        str, Field(min_length=1, description="The file's bytes in base64.", json_schema_extra={"format": "byte"})
    ]


class EncodedImages(BaseModel):
    """The body of a request in JSON."""

    model_config = ConfigDict(extra="forbid", strict=True)

    images: Annotated[list[EncodedImage], Field(min_length=1)]


def body_description(max_files: int) -> dict[str, Any]:
    """Return the OpenAPI description of a body with up to `max_files` files."""
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    files = {"type": "array", "items": file, "minItems": 1, "maxItems": max_files}
    form = {"type": "object", "properties": {"files": files}, "required": ["files"]}
    schema = EncodedImages.model_json_schema()
    image = schema["$defs"]["EncodedImage"]
    images = schema["properties"]["images"] | {"items": image, "maxItems": max_files}
    encoded = {
        "type": "object",
        "properties": {"images": images},
        "required": ["images"],
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {FORM: {"schema": form}, JSON: {"schema": encoded}}}}


async def read_uploads(request: Request, settings: ServingSettings, max_files: int) -> list[Upload]:
    """Read the files of `request`, at least one.

    Raises Problem: 413 for too much, 408 for too slow, 415 for another type of body, 422 for one that is not as
    described.
    """
    kind = _kind_of_body(request)
    if kind not in {FORM, JSON}:
        detail = f"Send the images as {FORM}, each in a part named files, or as {JSON}: /docs describes both."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    read = _from_form if kind == FORM else _from_json
    async with _in_time(settings):
        uploads = await read(request, settings, max_files)
    if len(uploads) > max_files:
        raise _too_many(max_files)
    return uploads


async def read_json(request: Request, settings: ServingSettings, form: type[Form]) -> Form:
    """Read a body of JSON. Raises Problem as `read_uploads` does."""
    if _kind_of_body(request) != JSON:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON}: /docs describes it.")
    async with _in_time(settings):
        return await _validated(request, settings, form)


def _kind_of_body(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def _in_time(settings: ServingSettings) -> AsyncGenerator[None, None]:
    try:
        async with asyncio.timeout(settings.upload_seconds):
            yield
    except TimeoutError as error:
        detail = f"The upload took longer than {settings.upload_seconds:g} s. Send fewer or smaller images at once."
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, detail, hangs_up=True) from error


async def _bounded(request: Request, settings: ServingSettings) -> AsyncGenerator[bytes, None]:
    """Yield the body, chunk by chunk; one that is too large is not even begun if it says so."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > settings.upload_bytes:
        raise _too_large(settings)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > settings.upload_bytes:
            raise _too_large(settings, hangs_up=True)  # who knows how much is still to come
        yield chunk


class _InMemory(MultiPartParser):
    """Starlette's parser of forms, that never puts a file on disk: nothing uploaded is stored."""

    spool_max_size = 2**62


async def _from_form(request: Request, settings: ServingSettings, max_files: int) -> list[Upload]:
    parser = _InMemory(
        request.headers, _bounded(request, settings), max_files=max_files, max_fields=1, max_part_size=1024
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise _too_many(max_files) from error
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _form_detail(error.message)) from error
    try:
        files = [part for key, part in form.multi_items() if key == "files" and isinstance(part, UploadFile)]
        if not files or len(files) < len(form.multi_items()):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, _form_detail("every part must be a file named files"))
        return [Upload(shown_name(file.filename or ""), await file.read()) for file in files]
    finally:
        await form.close()


async def _from_json(request: Request, settings: ServingSettings, max_files: int) -> list[Upload]:
    images = (await _validated(request, settings, EncodedImages)).images
    if len(images) > max_files:
        raise _too_many(max_files)
    return [Upload(shown_name(image.name), _decoded(image, number)) for number, image in enumerate(images)]


async def _validated(request: Request, settings: ServingSettings, form: type[Form]) -> Form:
    body = bytearray()
    async for chunk in _bounded(request, settings):
        body += chunk
    try:
        return form.model_validate_json(bytes(body))
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_url=False)) from error


def _decoded(image: EncodedImage, number: int) -> bytes:
    try:
        return base64.b64decode(image.content, validate=True)
    except (binascii.Error, ValueError) as error:
        detail = (
            f"images.{number}.content: not base64. Send the file's bytes themselves, encoded; addresses (file://, "
            "http://, s3://) are not followed."
        )
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from error


def shown_name(name: str) -> str:
    """Return `name` as it may be shown: its last part, without control characters, of bounded length."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:MAX_NAME] or UNNAMED


def _form_detail(message: str) -> str:
    return f"The form cannot be read ({message.rstrip('.')}). Send each image as a file in a part named files."


def _too_large(settings: ServingSettings, *, hangs_up: bool = False) -> Problem:
    detail = f"More than {settings.upload_bytes / MIB:g} MiB. Send fewer or smaller images at once."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, hangs_up=hangs_up)


def _too_many(max_files: int) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"More than {counted(max_files, 'file')}. Send fewer at once.")


UNKNOWN: Final = "img"


class Keeper:
    """A folder of uploads, each once."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises DataError if that cannot be done."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DataError(f"keep = {folder}: cannot be made ({error.strerror}). Give another folder.") from error
        self._folder = folder

    def keep(self, upload: Upload) -> None:
        """Write the file, for its owner alone, unless it is there."""
        path = self._folder / f"{upload.sha256}.{kind_of(upload.content[:BEGINNING_BYTES]) or UNKNOWN}"
        if not path.exists():
            own = path.with_name(f".{uuid4().hex}")  # the same image may be written by another request meanwhile
            write_whole(own, lambda partial: partial.write_bytes(upload.content), durable=False, is_private=True)
            put_in_place(own, path)
