"""What is refused, how, and that it is said what to do."""

import base64
import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from coronet_core.errors import DataError, ParamsError
from serving.explanations import Explainer, TookTooLongError
from serving.keeping import Keeper
from serving.service import Service
from serving.settings import ServingSettings
from serving.uploads import Upload, shown_name
from tests.serving.served import dicom, png, running, served_model

ROUTES = ["/predict", "/explain", "/residuals", "/preview"]
SCRIPT = "<script>alert(1)</script>.png"


def form(*contents: bytes, name: str = "chest.png") -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", (name, content)) for content in contents]


def problem(response: httpx.Response, status: int) -> str:
    """Check that `response` is a problem with this status; returns its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["request_id"] == response.headers["x-request-id"]
    return str(told["detail"])


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
    assert "More than 1 files" in problem(small.post("/preview", files=form(png(), png())), 413)


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
    large = png(width_px=2400, height_px=2400)
    assert len(large) > 2**20  # what a form's parser keeps in memory by itself
    assert client.post("/predict", files=form(large)).status_code == 200
    assert not client.get("/model").json()["keeps_uploads"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Give another folder"):
        Keeper(tmp_path / "file" / "kept")


def test_a_client_that_asks_too_often_is_told_when_to_come_back() -> None:
    with running(rate="3/minute") as address, httpx.Client(base_url=address, timeout=60) as client:
        for _ in range(3):
            assert client.post("/predict", files=form(png())).status_code == 200
        refused = client.post("/predict", files=form(png()))
        assert "3 per 1 minute" in problem(refused, 429)
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        forwarded = client.post("/predict", files=form(png()), headers={"X-Forwarded-For": "10.0.0.9"})
        problem(forwarded, 429)  # who a client is, it does not say itself
        assert client.get("/ready").status_code == 200
        assert 'coronet_refused_total{reason="rate"} 2.0' in client.get("/metrics").text


def test_a_full_queue_is_told_by_answer_and_readiness(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on = threading.Event()
    original = Service._answer_all

    def slow(self: Service, files: Any) -> Any:
        may_go_on.wait(30)
        return original(self, files)

    monkeypatch.setattr(Service, "_answer_all", slow)
    with (
        running(batch_images=1, queue_images=2, files=2) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        threads = [
            threading.Thread(
                target=httpx.post, args=(f"{address}/predict",), kwargs={"files": form(png()), "timeout": 60}
            )
            for _ in range(3)
        ]
        try:
            for thread in threads:
                thread.start()
            while "coronet_queue_images 2.0" not in client.get("/metrics").text:
                time.sleep(0.02)
            refused = client.post("/predict", files=form(png()))
            assert "images are waiting" in problem(refused, 503)
            assert refused.headers["retry-after"]
            problem(client.get("/ready"), 503)
            assert client.get("/health").status_code == 200
        finally:
            may_go_on.set()
            for thread in threads:
                thread.join()
        assert client.get("/ready").status_code == 200
        assert client.post("/predict", files=form(png())).status_code == 200


def test_more_requests_at_once_than_allowed_are_refused() -> None:
    with running(requests_at_once=1) as address, slow_upload(address):
        time.sleep(0.3)
        assert "in work" in problem(httpx.post(f"{address}/predict", files=form(png())), 503)


def test_an_upload_that_never_ends_is_given_up() -> None:
    with running(upload_seconds=1) as address, slow_upload(address) as connection:
        assert b"408 Request Timeout" in connection.recv(1000)


class slow_upload:  # noqa: N801  # reads as the function that it would be
    """A request whose body has begun and does not go on."""

    def __init__(self, address: str) -> None:
        place = urlsplit(address)
        self._connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=30)
        head = f"POST /predict HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
        self._connection.sendall(f'{head}Content-Length: 100\r\n\r\n{{"images"'.encode())

    def __enter__(self) -> socket.socket:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()


def test_an_explanation_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from serving import explanations

    clock = iter(range(0, 10**6, 5))  # five seconds a pass
    monkeypatch.setattr(explanations, "monotonic", lambda: next(clock))
    with running(explain_seconds=12) as address, httpx.Client(base_url=address, timeout=60) as client:
        assert "perturbation took longer than 12 s" in problem(
            client.post("/explain?method=perturbation", files=form(png())), 503
        )
        assert "coronet_refused_total" in client.get("/metrics").text


def test_explanations_beyond_the_queue_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    may_go_on, explains = threading.Event(), threading.Event()

    def slow(*_: Any) -> None:
        explains.set()
        may_go_on.wait(30)
        raise TookTooLongError

    monkeypatch.setattr(Explainer, "_make", slow)
    with running(explain_queue=1) as address, httpx.Client(base_url=address, timeout=60) as client:
        asking = {"args": (f"{address}/explain",), "kwargs": {"files": form(png()), "timeout": 60}}
        threads = [threading.Thread(target=httpx.post, **asking) for _ in range(2)]  # type: ignore[arg-type]
        try:
            for thread in threads:
                thread.start()
            explains.wait(30)
            time.sleep(0.5)  # the other one is in the queue
            refused = client.post("/explain", files=form(png()))
            assert "explanations are waiting" in problem(refused, 503)
            assert client.post("/predict", files=form(png())).status_code == 200
        finally:
            may_go_on.set()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "169.254.169.254", "", "[::"])
def test_a_name_that_the_service_does_not_go_by_is_refused(client: httpx.Client, host: str) -> None:
    assert "--allow-host" in problem(client.get("/model", headers={"Host": host}), 421)


def test_a_name_that_is_allowed_is_answered() -> None:
    with running(hosts=("reading.example",)) as address:
        assert httpx.get(f"{address}/health", headers={"Host": "Reading.example:8000"}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_is_refused(client: httpx.Client, site: str) -> None:
    problem(client.post("/predict", files=form(png()), headers={"Sec-Fetch-Site": site}), 403)


def test_settings_out_of_range_are_told_all_at_once() -> None:
    with pytest.raises(ParamsError) as raised:
        ServingSettings(batch_images=0, upload_mib=float("nan"), files=65, rate="often")
    told = str(raised.value).splitlines()
    assert [line.partition(" = ")[0] for line in told] == ["batch_images", "upload_mib", "files", "rate"]


def test_an_error_that_nobody_foresaw_is_a_problem_for_the_client_and_a_traceback_for_the_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(Service, "_answer_all", broken)
    with running(served_model(), log_requests=False) as address:
        response = httpx.post(f"{address}/predict", files=form(png(), name="Doe_Jane.png"), timeout=60)
    assert "secret" not in problem(response, 500)
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    assert line["request_id"] == response.headers["x-request-id"]
    assert "a secret of the inside" in line["error"]
    assert "Doe_Jane" not in json.dumps(line)
