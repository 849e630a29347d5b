"""Predictions of objects on a real S3 server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError
from flows.monitoring.final_states import TRANSIENT_FAILURE
from flows.predict_batch import predict_batch
from tasks.inference.input import s3
from tasks.inference.input.image_file import ImageFile
from tasks.inference.input.storage import find_files, read, read_files
from tasks.package.package_folder import write_package
from tests.integration.s3 import S3Server, s3_server
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

pytestmark = [pytest.mark.integration, pytest.mark.slow]
BUCKET = "ward"


def pgm(number: int) -> bytes:
    pixels, _ = phantom.draw(0, "healthy", f"p{number}", 0, 96)
    return b"P5 96 96 255\n" + pixels.tobytes()


OBJECTS = {
    "scans/1.pgm": pgm(1),
    "scans/deep/2.pgm": pgm(2),
    "scans/<script>alert(1)</script>/3.pgm": pgm(3),
    "scans/broken.png": b"not an image",
    "scans/notes.txt": b"who is who",
    "scans/nosuffix": b"text",
    "scans/dicom": bytes(128) + b"DICM" + bytes(200),
    "scans/._1.pgm": b"\x00\x05\x16\x07",
    "scans/empty": b"",
    "scanner.pgm": pgm(4),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), BUCKET) as running:
        client = running.client()
        for key, content in OBJECTS.items():
            client.put_object(Bucket=BUCKET, Key=key, Body=content)
        yield running


@pytest.fixture(autouse=True)
def environment(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    s3._client.cache_clear()
    yield
    s3._client.cache_clear()


def test_a_prefix_names_all_images_below_it_and_an_object_itself() -> None:
    files, passed_over = find_files([f"s3://{BUCKET}/scans/", f"s3://{BUCKET}/scanner.pgm"])
    assert {file.path.removeprefix(f"s3://{BUCKET}/") for file in files} == {
        "scans/1.pgm",
        "scans/deep/2.pgm",
        "scans/<script>alert(1)</script>/3.pgm",
        "scans/broken.png",
        "scans/dicom",
        "scanner.pgm",
    }
    assert passed_over == {"hidden or companion file": 1, "not an image": 3}
    assert all(file.version and file.size_bytes for file in files)


def test_objects_are_read_as_they_were_put() -> None:
    files, _ = find_files([f"s3://{BUCKET}/scans/"])
    found = {content.path.removeprefix(f"s3://{BUCKET}/"): content.content for content in read_files(files)}
    assert found == {key: OBJECTS[key] for key in found}


def test_only_the_beginning_of_objects_whose_key_does_not_tell_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    client, asked = s3._client(), dict[str, str | None]()

    def get_object(**wanted: str) -> object:
        asked[wanted["Key"]] = wanted.get("Range")
        return type(client).get_object(client, **wanted)

    monkeypatch.setattr(client, "get_object", get_object)
    find_files([f"s3://{BUCKET}/scans/"])
    assert asked == dict.fromkeys(("scans/notes.txt", "scans/nosuffix", "scans/dicom"), "bytes=0-131")


def test_an_object_that_has_changed_since_it_was_listed_is_not_read(server: S3Server) -> None:
    server.client().put_object(Bucket=BUCKET, Key="changing.pgm", Body=pgm(5))
    (file,), _ = find_files([f"s3://{BUCKET}/changing.pgm"])
    server.client().put_object(Bucket=BUCKET, Key="changing.pgm", Body=pgm(6))
    assert read(file).error == "cannot be opened (it has changed since it was listed)"


def test_an_object_that_has_gone_is_a_row_with_its_reason() -> None:
    assert read(ImageFile(f"s3://{BUCKET}/gone.pgm", '"e"', 3)).error == "cannot be opened (no such bucket or object)"


@pytest.mark.parametrize("url", [f"s3://{BUCKET}/nothing.pgm", f"s3://{BUCKET}/nothing/", "s3://no-such-bucket/"])
def test_a_url_that_names_nothing_is_an_error(url: str) -> None:
    with pytest.raises(DataError, match=r"no such bucket or object|no objects found"):
        find_files([url])


def test_wrong_keys_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(DataError, match="access denied"):
        find_files([f"s3://{BUCKET}/scans/"])


def test_a_server_that_is_away_may_come_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    state = predict_batch.fn([f"s3://{BUCKET}/scans/"], str(tmp_path / "out.parquet"))
    assert state.name == TRANSIENT_FAILURE
    assert "the S3 server does not respond" in str(state.message)


def test_predict_answers_objects_and_tells_bad_ones(tmp_path: Path) -> None:
    write_package(tmp_path / "package", untrained_model(), CARD, some_lineage())
    command = ["flows", "predict", f"s3://{BUCKET}/scans/", "--model", "package", "--out", "found.jsonl"]
    finished = subprocess.run(
        [sys.executable, "-m", *command], cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 3, finished.stderr
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert {row["path"].rpartition("/")[2]: row["error"] is None for row in rows} == {
        "1.pgm": True,
        "2.pgm": True,
        "3.pgm": True,
        "broken.png": False,
        "dicom": False,
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.jsonl", "package"]
