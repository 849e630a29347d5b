"""Good and hostile requests of the soak, each with what the service should make of it."""

import random
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final
from urllib.parse import urlsplit

import httpx
from PIL import Image

HOLD: Final = 12
"""Connections with half-sent headers that a client keeps open."""
HALF_BODY_S: Final = 2.0
"""For which a client holds a body half-sent."""
TIMEOUT_S: Final = 90
BUSY: Final = "503"
GONE: Final = "closed"
"""The service, or the client itself, closed the connection."""


@dataclass
class Client:
    """One client: its connection for good requests, and those that it holds half-sent."""

    address: str
    images: list[bytes]
    draw: random.Random
    http: httpx.Client = field(init=False)
    held: deque[socket.socket] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.address, timeout=TIMEOUT_S)

    def image(self) -> bytes:
        """Return one of the X-rays."""
        return self.draw.choice(self.images)

    def connect(self, sent: bytes) -> socket.socket:
        """Open a connection and send `sent`."""
        place = urlsplit(self.address)
        connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=TIMEOUT_S)
        connection.sendall(sent)
        return connection

    def exchange(self, sent: bytes) -> str:
        """Send `sent` on a connection of its own; returns the status of the response."""
        with self.connect(sent) as connection:
            words = connection.recv(1000).split(b" ", 2)
        return words[1].decode() if len(words) > 1 else GONE

    def post(self, path: str, *contents: bytes, **headers: str) -> str:
        """Post files; returns the status of the response."""
        files = [("files", ("x.png", content)) for content in contents]
        return str(self.http.post(path, files=files, headers=headers).status_code)

    def close(self) -> None:
        """Close all connections."""
        self.http.close()
        for connection in self.held:
            connection.close()


def head(method: str, path: str, *lines: str) -> bytes:
    """Return a request's line and headers, without the empty line at their end."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *lines, ""]).encode()


def upload_head(length: int) -> bytes:
    """Return the complete head of a form of `length` bytes."""
    return (
        head("POST", "/predict", "Content-Type: multipart/form-data; boundary=b", f"Content-Length: {length}") + b"\r\n"
    )


def _broken_image(client: Client) -> str:
    image = bytearray(client.image())
    for _ in range(20):
        image[client.draw.randrange(8, len(image))] = client.draw.randrange(256)
    return client.post("/predict", bytes(image[: client.draw.randrange(20, len(image))]))


def _bomb(client: Client) -> str:
    return client.post("/predict", BOMB)


def _half_headers(client: Client) -> str:
    client.held.append(client.connect(head("GET", "/health", "X-Half: ")[:-2]))
    if len(client.held) > HOLD:
        client.held.popleft().close()
    return GONE


def _half_body(client: Client) -> str:
    with client.connect(upload_head(10_000) + b"--b\r\n"):
        time.sleep(HALF_BODY_S)
    return GONE


def _gone_before_the_answer(client: Client) -> str:
    image = client.image()
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n' + image + b"\r\n--b--\r\n"
    client.connect(upload_head(len(part)) + part).close()
    return GONE


def _bomb_png() -> bytes:
    buffer = BytesIO()
    Image.new("L", (12_000, 12_000)).save(buffer, "PNG")
    return buffer.getvalue()


BOMB: Final = _bomb_png()
"""144 megapixels in 140 kB."""


@dataclass(frozen=True)
class Kind:
    """One kind of request."""

    name: str
    weight: int
    send: Callable[[Client], str]
    """Sends one; returns the status of the response, or `GONE`."""
    expected: frozenset[str]
    is_good: bool = False


def _kind(name: str, weight: int, send: Callable[[Client], str], *expected: str) -> Kind:
    return Kind(name, weight, send, frozenset(expected))


def _good(name: str, weight: int, send: Callable[[Client], str]) -> Kind:
    return Kind(name, weight, send, frozenset({"200"}), is_good=True)


KINDS: Final = (
    _good("predict", 30, lambda client: client.post("/predict", client.image())),
    _good("predict, 4 files", 4, lambda client: client.post("/predict", *(client.image() for _ in range(4)))),
    _good("preview", 6, lambda client: client.post("/preview", client.image())),
    _good("residuals", 3, lambda client: client.post("/residuals?format=png", client.image())),
    _good("explain", 2, lambda client: client.post("/explain?format=png", client.image())),
    _good("page", 6, lambda client: str(client.http.get("/").status_code)),
    _good("metrics", 2, lambda client: str(client.http.get("/metrics").status_code)),
    _kind("broken image", 8, _broken_image, "422", "200"),
    _kind("decompression bomb", 3, _bomb, "422"),
    _kind("17 files", 3, lambda client: client.post("/predict", *[client.image()] * 17), "413"),
    _kind("wrong origin", 4, lambda client: client.post("/predict", b"x", Origin="http://evil.example"), "403"),
    _kind("wrong host", 3, lambda client: client.post("/predict", b"x", Host="evil.example"), "421"),
    _kind("no HTTP", 3, lambda client: client.exchange(client.draw.randbytes(200) + b"\r\n\r\n"), "400"),
    _kind("huge headers", 3, lambda client: client.exchange(head("GET", "/", "X: " + "x" * 400_000)), "400"),
    _kind("too large by its own word", 3, lambda client: client.exchange(upload_head(2**33)), "413"),
    _kind("half-sent headers, held", 8, _half_headers, GONE),
    _kind("half-sent body, held 2 s", 3, _half_body, GONE),
    _kind("gone before the answer", 6, _gone_before_the_answer, GONE),
)
