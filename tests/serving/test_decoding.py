"""Images that cost much: counted before they are decoded, dropped when their client has gone, refused alone."""

import io
import os
import signal
import socket
import struct
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from PIL import Image

from tests.serving.served import chest, form, png, problem, running


def large(side_px: int) -> bytes:
    """A picture with noise, which takes long to inflate, as PNG."""
    buffer = io.BytesIO()
    Image.blend(Image.effect_noise((side_px, side_px), 60), chest().resize((side_px, side_px)), 0.5).save(
        buffer, "PNG", compress_level=1
    )
    return buffer.getvalue()


def several(*contents: bytes) -> list[tuple[str, Any]]:
    return [("files", (f"{number}.png", content)) for number, content in enumerate(contents)]


def of_size(side_px: int) -> bytes:
    """A small PNG that states another size: counting believes it, decoding finds nothing."""
    content = png()
    return content[:16] + struct.pack(">II", side_px, side_px) + content[24:]


def test_a_request_of_too_many_pixels_is_refused_before_anything_is_decoded() -> None:
    with running(decode_megapixels=10) as address:
        refused = httpx.post(f"{address}/predict", files=several(of_size(3000), of_size(3000)))
        assert "More than 10 megapixels" in problem(refused, 413)
        assert httpx.post(f"{address}/predict", files=form(png()), timeout=60).status_code == 200


@pytest.mark.parametrize("route", ["predict", "explain", "residuals", "preview"])
def test_pixels_that_wait_are_bounded(route: str) -> None:
    content = large(5000)
    until = time.monotonic() + 60
    with running(decode_megapixels=30) as address:
        while True:
            with hanging_up_later(address, content):
                busiest(psutil.Process())
                answer = httpx.post(f"{address}/{route}", files=form(of_size(3000)))
            if answer.status_code != 422:
                break
            assert time.monotonic() < until  # each large one had been decoded
        assert "wait to be decoded" in problem(answer, 503)


def test_images_of_clients_who_have_gone_are_not_decoded() -> None:
    content = large(4000)
    with running(upload_mib=400) as address:
        for _ in range(2):
            with hanging_up_later(address, *[content] * 8):
                busiest(psutil.Process())  # all are admitted, and the first are being decoded
        began = time.monotonic()
        assert httpx.post(f"{address}/predict", files=form(png()), timeout=120).status_code == 200
        waited_s = time.monotonic() - began
        metrics = httpx.get(f"{address}/metrics").text
        assert 'coronet_requests_total{method="POST",route="/predict",status="499"} 2.0' in metrics
        began = time.monotonic()
        assert httpx.post(f"{address}/predict", files=several(*[content] * 8), timeout=120).status_code == 200
        assert waited_s < time.monotonic() - began  # of eight images; sixteen were dropped


def test_a_decoder_that_is_killed_is_one_refused_file() -> None:
    content = large(8000)
    with running() as address:
        httpx.post(f"{address}/predict", files=form(png()), timeout=60)
        with hanging_up_later(address, content) as connection:
            worker = busiest(psutil.Process())
            os.kill(worker.pid, signal.SIGKILL)
            reply = b""
            while not reply.endswith(b"}"):
                reply += connection.recv(4096)
        assert b" 422 " in reply
        assert b"crashes its decoder (SIGKILL)" in reply
        assert httpx.post(f"{address}/predict", files=form(png()), timeout=60).status_code == 200


def busiest(process: psutil.Process) -> psutil.Process:
    """The descendant that computes, since it is looked for: the one that decodes."""
    until = time.monotonic() + 30
    before: dict[psutil.Process, float] = {}
    while time.monotonic() < until:
        now = {one: sum(one.cpu_times()[:2]) for one in process.children(recursive=True)}
        if at_work := [one for one in now if now[one] - before.get(one, now[one]) > 0.05]:
            return at_work[0]
        before = now | before  # a busy machine gives it less than half a core
        time.sleep(0.1)
    pytest.fail("nothing is being decoded")


class hanging_up_later:  # noqa: N801  # reads as the function that it would be
    """A request with images whose client hangs up at the end, without waiting for the answer."""

    def __init__(self, address: str, *contents: bytes) -> None:
        request = httpx.Request("POST", f"{address}/predict", files=several(*contents))
        head = "\r\n".join(f"{name}: {value}" for name, value in request.headers.items())
        self._data = f"POST /predict HTTP/1.1\r\n{head}\r\n\r\n".encode() + request.read()
        self._place = urlsplit(address)

    def __enter__(self) -> socket.socket:
        self._connection = socket.create_connection((str(self._place.hostname), self._place.port or 80), timeout=60)
        self._connection.sendall(self._data)
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
