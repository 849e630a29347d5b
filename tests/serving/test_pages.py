"""Pages and status: what a browser and those who run the service get."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from serving.routes.pages import STATIC
from tests.serving.served import png, trained_model

NOTICE = "Research software, not a medical device."


class Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"src", "href"}]
        self.inline += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and not dict(attrs).get("src")):
            self.inline.append(tag)


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_a_page_loads_all_it_needs_from_the_service_and_runs_nothing_inline(client: httpx.Client, page: str) -> None:
    response = client.get(page)
    parser = Addresses()
    parser.feed(response.text)
    assert parser.inline == []
    for address in parser.found:
        if not address.startswith("#"):
            assert address.startswith("/")
            assert client.get(address).status_code == 200, address
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_scripts_and_styles_name_no_other_server() -> None:
    for path in STATIC.iterdir():
        if path.suffix in {".js", ".css", ".html"}:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(https?:)?//[a-z]+\.[a-z]", text), path.name
            assert "innerHTML" not in text, path.name
            assert len(text) < 16_000


def test_the_page_says_what_it_is_not(client: httpx.Client) -> None:
    assert NOTICE in client.get("/").text


@pytest.mark.parametrize(
    "path", ["/static/../settings.py", "/static/%2e%2e/settings.py", "/static//etc/passwd", "/docs-static/../core.py"]
)
def test_paths_do_not_lead_out_of_the_static_files(address: str, path: str) -> None:
    import socket
    from urllib.parse import urlsplit

    place = urlsplit(address)
    with socket.create_connection(
        (place.hostname or "", place.port or 0), timeout=10
    ) as connection:  # as it is, not tidied
        # The path as it is: clients tidy it.
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
        assert b"HTTP/1.1 404" in connection.makefile("rb").read()


@pytest.mark.parametrize("path", ["/", "/docs", "/health", "/model", "/nowhere", "/static/main.js"])
def test_every_answer_has_an_id_and_the_headers_that_keep_browsers_careful(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert re.fullmatch("[0-9a-f]{16}", headers["x-request-id"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("given", "is_taken"), [("abc-123.DEF_4", True), ("a b", False), ("x" * 65, False), ("<b>", False)]
)
def test_an_id_that_comes_with_a_request_is_kept_if_it_is_one(
    client: httpx.Client, given: str, *, is_taken: bool
) -> None:
    answered = client.get("/health", headers={"X-Request-ID": given}).headers["x-request-id"]
    assert (answered == given) == is_taken


def test_images_are_not_cached(client: httpx.Client) -> None:
    assert client.post("/preview", files={"files": ("a.png", png())}).headers["cache-control"] == "no-store"


def test_the_model_describes_itself(client: httpx.Client) -> None:
    told = client.get("/model").json()
    assert told["digest"] == trained_model().digest
    assert list(told["classes"]) == ["healthy", "pneumonia", "covid19"]
    assert told["card"] == "# Card"
    assert told["calibration"]["validation_images"] == {"healthy": 20, "pneumonia": 15, "covid19": 5}
    assert told["limits"]["files"] == 16


def test_metrics_count_requests_images_and_maps_and_name_no_image(client: httpx.Client) -> None:
    client.post("/predict", files=[("files", ("Doe_Jane.png", png())), ("files", ("b", b"bad"))])
    client.post("/explain", files={"files": ("Doe_Jane.png", png())})
    client.get("/nowhere/Doe_Jane")
    client.request("DOE_JANE", "/health")
    told = client.get("/metrics").text
    for name in (
        'coronet_requests_total{method="POST",route="/predict",status="200"}',
        'coronet_images_total{outcome="unreadable"}',
        'coronet_explanation_seconds_count{method="grad_cam"}',
        "coronet_queue_images 0.0",
        f'coronet_model_info{{digest="{trained_model().digest}"}} 1.0',
    ):
        assert name in told
    assert "doe_jane" not in told.lower()


def test_the_log_has_a_line_for_each_request_and_names_no_image(
    client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.post("/predict?Doe_Jane", files={"files": ("Doe_Jane.png", png())}, headers={"X-Request-ID": "mine"})
    client.get("/health")  # the line before is written by now
    lines: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[0] == "{"]
    (line,) = [line for line in lines if line["request_id"] == "mine"]
    assert (line["method"], line["route"], line["status"], line["images"]) == ("POST", "/predict", 200, 1)
    assert "Doe_Jane" not in json.dumps(lines)
