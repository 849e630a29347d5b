"""Objects of an S3 server as files: listed with their ETags, read one at a time, never stored locally.

Server, keys and region come from boto3's configuration (AWS_ENDPOINT_URL, AWS_PROFILE, ...): a URL names a bucket and a
key, and cannot direct a request to another server.
"""

import functools
import ipaddress
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.exceptions import ConnectionError as S3ConnectionError

from coronet_core.data.file_kinds import BEGINNING_BYTES
from coronet_core.data.image_files import find_images
from coronet_core.support.errors import DataError, TransientError
from tasks.inference.input.image_file import CANNOT_BE_OPENED, MAX_FILE_BYTES, FileContent, ImageFile, within_limit

SCHEME: Final = "s3://"
BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
READERS: Final = 8
"""Objects read in parallel, as each is a round trip."""
ATTEMPTS: Final = 5
CONNECT_TIMEOUT_S: Final = 10
READ_TIMEOUT_S: Final = 60
HTTP_ERRORS: Final = {
    403: "access denied: check the keys, or ask the owner of the bucket",
    404: "no such bucket or object",
    412: "it has changed since it was listed",
}
TOO_MANY_REQUESTS: Final = 429
SERVER_ERRORS: Final = 500


def find_objects(url: str) -> tuple[list[ImageFile], Counter[str]]:
    """Return the objects at `url`, and the number of skipped objects by reason.

    `s3://bucket/key` is an object of any content; `s3://bucket/prefix/` all images below it: if a key does not show
    whether an object is an image, its first bytes are read. Raises DataError if there is nothing at the URL or access
    is refused, TransientError if the server does not respond.
    """
    bucket, key = _bucket_and_key(url)
    with _translated_errors(url):
        if key and not key.endswith("/"):
            head = _client().head_object(Bucket=bucket, Key=key)
            return [ImageFile(url, head["ETag"], head["ContentLength"])], Counter()
        objects = {one["Key"].removeprefix(key): one for one in _objects_below(bucket, key)}
        found = find_images(objects, lambda name: _beginning(bucket, objects[name]))
    if not objects:
        raise DataError(f"{url}: no objects found. Correct the URL; that of a single object does not end in a slash.")
    images = [objects[name] for name in found.names]
    files = [ImageFile(f"{SCHEME}{bucket}/{one['Key']}", one["ETag"], one["Size"]) for one in images]
    return files, found.passed_over


def read_object(file: ImageFile) -> FileContent:
    """Read an object; the result has an error if it is unreadable, too large, or has changed since it was listed.

    Raises TransientError if the server does not respond: no other object could be read either.
    """
    if file.size_bytes > MAX_FILE_BYTES:
        return within_limit(FileContent(file.path, b""), file.size_bytes)
    bucket, key = _bucket_and_key(file.path)
    try:
        with (
            _translated_errors(file.path),
            _client().get_object(Bucket=bucket, Key=key, IfMatch=file.version)["Body"] as body,
        ):
            content = body.read(MAX_FILE_BYTES + 1)  # the listed size may be wrong
            return within_limit(FileContent(file.path, content), len(content))
    except DataError as error:
        return FileContent(file.path, b"", f"{CANNOT_BE_OPENED} ({str(error).removeprefix(f'{file.path}: ')})")


def _bucket_and_key(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if BUCKET.fullmatch(bucket) is None or _is_address(bucket):
        raise DataError(
            f"{url}: {bucket!r} is not a bucket name. Give {SCHEME}bucket/key or {SCHEME}bucket/prefix/; the server "
            "is set by AWS_ENDPOINT_URL."
        )
    return bucket, key


def _is_address(bucket: str) -> bool:
    try:
        ipaddress.ip_address(bucket)
    except ValueError:
        return False
    return True


@functools.cache
def _client() -> Any:
    """Return the client, which threads may share."""
    has_own_server = "AWS_ENDPOINT_URL" in os.environ or "AWS_ENDPOINT_URL_S3" in os.environ
    return boto3.Session().client(
        "s3",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            max_pool_connections=READERS,
            s3={"addressing_style": "path"} if has_own_server else None,  # its buckets have no host names
        ),
    )


def _objects_below(bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    for page in _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (one for one in page.get("Contents", []) if not one["Key"].endswith("/"))


def _beginning(bucket: str, listed: dict[str, Any]) -> bytes:
    if listed["Size"] == 0:  # an empty object has no byte ranges
        return b""
    part = f"bytes=0-{BEGINNING_BYTES - 1}"
    with _client().get_object(Bucket=bucket, Key=listed["Key"], Range=part)["Body"] as body:
        content: bytes = body.read(BEGINNING_BYTES)
        return content


@contextmanager
def _translated_errors(url: str) -> Iterator[None]:
    """Convert boto3's errors: TransientError if a retry may help, otherwise DataError."""
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        reason = HTTP_ERRORS.get(status, str(error.response["Error"].get("Code", status)))
        if status == TOO_MANY_REQUESTS or status >= SERVER_ERRORS:
            raise TransientError(f"{url}: the S3 server has a problem ({reason}). Trying again may help.") from error
        raise DataError(f"{url}: {reason}") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise DataError(
            f"{url}: no keys for S3. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        ) from error
    except (S3ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise TransientError(f"{url}: the S3 server does not respond ({type(error).__name__}).") from error
    except BotoCoreError as error:
        raise DataError(f"{url}: {error}") from error
