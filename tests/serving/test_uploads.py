"""What is taken for an upload and what is refused, and that it is said what to do."""

import base64
import os
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest

from coronet_core.support.errors import DataError
from serving.uploads import Keeper, Upload, shown_name
from tests.serving.served import dicom, form, png, problem, running

ROUTES = ["/predict", "/explain", "/residuals", "/preview"]
SCRIPT = "<script>alert(1)</script>.png"


@pytest.fixture(scope="module")
def small() -> Iterator[httpx.Client]:
    with running(upload_mib=0.25, files=2) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_says_it_is_too_large_is_not_read(small: httpx.Client, route: str) -> None:
    assert "More than 0.25 MiB" in problem(small.post(route, files=form(bytes(2**20))), 413)


def test_a_body_that_does_not_say_how_large_it_is_is_read_up_to_the_limit(small: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(2000):
            sent += 2**14
            yield bytes(2**14)

    try:
        response = small.post(
            "/predict", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        problem(response, 413)
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):  # the service has hung up
        pass
    assert sent < 2000 * 2**14


def test_too_many_files_are_refused(small: httpx.Client) -> None:
    assert "More than 2 files" in problem(small.post("/predict", files=form(*[png()] * 3)), 413)
    encoded = {"content": base64.b64encode(png()).decode()}
    assert "More than 2 files" in problem(small.post("/predict", json={"images": [encoded] * 3}), 413)
    assert "More than 1 file." in problem(small.post("/preview", files=form(png(), png())), 413)


def png_bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6)))


@pytest.mark.parametrize("route", ROUTES)
def test_a_bomb_is_refused_by_its_header(client: httpx.Client, route: str) -> None:
    assert "decompression bomb" in problem(client.post(route, files=form(png_bomb())), 422)


@pytest.mark.parametrize("content", [b"%PDF-1.7", b"PK\x03\x04", b"<svg/>", dicom()[:200], png()[:100]])
def test_what_is_no_image_is_refused_with_the_decoder_s_reason(client: httpx.Client, content: bytes) -> None:
    detail = problem(client.post("/preview", files=form(content)), 422)
    assert "not an image" in detail or "truncated" in detail
    assert "Send X-rays as PNG, JPEG, TIFF or DICOM" in detail


@pytest.mark.parametrize("kind", ["text/plain", "image/png", "application/x-www-form-urlencoded", ""])
def test_another_type_of_body_is_refused(client: httpx.Client, kind: str) -> None:
    response = client.post("/predict", content=png(), headers={"Content-Type": kind})
    assert "multipart/form-data" in problem(response, 415)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"\xff",
        b'{"images": []}',
        b'{"images": [{}]}',
        b'{"images": [{"content": 5}]}',
        b'{"images": [{"content": ""}]}',
        b'{"images": [{"content": "QQ==", "url": "x"}]}',
        b'{"images": [{"content": "QQ=="}], "urls": []}',
        b"[" * 100_000,
    ],
)
def test_json_that_is_not_as_described_is_refused(client: httpx.Client, body: bytes) -> None:
    problem(client.post("/predict", content=body, headers={"Content-Type": "application/json"}), 422)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "http://127.0.0.1:22/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "s3://bucket/key.png",
        "data:image/png;base64,iVBORw0KGgo=",
        "../../etc/passwd",
    ],
)
@pytest.mark.parametrize("route", ROUTES)
def test_addresses_are_not_followed(client: httpx.Client, route: str, url: str) -> None:
    told = problem(client.post(route, json={"images": [{"content": url}]}), 422)
    assert "not base64" in told or "not an image" in told  # /etc/passwd happens to be base64: of no image
    as_file = client.post(route, files=form(url.encode(), name=url))
    assert "not an image" in problem(as_file, 422)


@pytest.mark.parametrize(
    "parts",
    [
        [("files", (None, b"text"))],
        [("image", ("a.png", png()))],
        [("files", ("a.png", png())), ("more", (None, b"text"))],
        [("files", (None, b"x" * 5000))],
    ],
)
def test_a_form_with_anything_else_than_files_is_refused(client: httpx.Client, parts: Any) -> None:
    assert "a part named files" in problem(client.post("/predict", files=parts), 422)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=x", 'multipart/form-data; boundary=""']
)
def test_a_damaged_form_is_refused(client: httpx.Client, kind: str) -> None:
    problem(client.post("/predict", content=b"--y\r\nnothing", headers={"Content-Type": kind}), 422)


def test_a_script_in_a_name_is_text_in_every_answer(client: httpx.Client) -> None:
    for files in (form(png(), name=SCRIPT), form(b"bad", name=SCRIPT)):
        response = client.post("/predict", files=files)
        assert "<" not in response.text
        assert response.headers["x-content-type-options"] == "nosniff"
        told = response.json()
        assert (told.get("answers") or told["files"])[0]["name"] == "script>.png"  # what is behind its last slash


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\scans\\a.png", "a.png"),
        ("/absolute/b.dcm", "b.dcm"),
        ("", "unnamed"),
        ("..", ".."),
        ("a\r\nSet-Cookie: b\0.png", "aSet-Cookie: b.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("x" * 1000, "x" * 255),
        ("Röntgen 肺.png", "Röntgen 肺.png"),
    ],
)
def test_a_name_is_shown_without_its_path_and_what_cannot_be_seen(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_kept_files_are_called_by_what_they_hold(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with running(keep=folder) as address:
        assert httpx.get(f"{address}/model").json()["keeps_uploads"]
        for name in ("../../evil.png", "/etc/cron.d/x", SCRIPT):
            httpx.post(f"{address}/predict", files=form(png(), dicom(), b"bad", name=name), timeout=60)
    digests = {Upload("", content).sha256: suffix for content, suffix in ((png(), "png"), (dicom(), "dcm"))}
    assert {path.name for path in folder.iterdir()} == {f"{digest}.{suffix}" for digest, suffix in digests.items()}
    assert sorted(path.read_bytes() for path in folder.iterdir()) == sorted([png(), dicom()])
    assert list(tmp_path.iterdir()) == [folder]


def test_nothing_is_stored_otherwise(client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("an upload went to disk")

    monkeypatch.setattr("tempfile.SpooledTemporaryFile.rollover", refuse)
    monkeypatch.chdir(tmp_path)
    large = png(width_px=1600, height_px=1600)
    assert len(large) > 2**20  # what a form's parser keeps in memory by itself
    assert client.post("/predict", files=form(large)).status_code == 200
    assert not client.get("/model").json()["keeps_uploads"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Give another folder"):
        Keeper(tmp_path / "file" / "kept")


def test_the_same_image_at_the_same_moment_is_kept_once(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "kept")
    for n in range(30):
        content = png() + bytes([n])
        together = Barrier(4)

        def keep(name: str, content: bytes = content, together: Barrier = together) -> None:
            together.wait()
            keeper.keep(Upload(name, content))

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(keep, "abcd"))
    assert len(list((tmp_path / "kept").iterdir())) == 30


@pytest.mark.parametrize(("content", "suffix"), [(png(), "png"), (dicom(), "dcm"), (b"text", "img")])
def test_kept_uploads_are_for_their_owner_alone(tmp_path: Path, content: bytes, suffix: str) -> None:
    former = os.umask(0o022)
    try:
        Keeper(tmp_path / "kept").keep(Upload("DOE_JANE.png", content))
    finally:
        os.umask(former)
    (kept,) = (tmp_path / "kept").iterdir()
    assert kept.name == f"{sha256(content).hexdigest()}.{suffix}"
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
