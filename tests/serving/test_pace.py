"""How much the service takes on at once, and how long it waits: beyond that it refuses and says when to come back."""

import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from serving.explanations import Explainer, TookTooLongError
from serving.service import Service
from tests.serving.served import form, png, problem, running


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
        assert "in progress" in problem(httpx.post(f"{address}/predict", files=form(png())), 503)


def test_uploads_that_never_end_leave_half_of_the_room_to_other_clients() -> None:
    with running(requests_at_once=4) as address, slow_upload(address), slow_upload(address):
        time.sleep(0.3)
        same = httpx.post(f"{address}/predict", files=form(png()))
        assert "from this address are in progress" in problem(same, 503)
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"), timeout=60) as other:
            assert other.post(f"{address}/predict", files=form(png())).status_code == 200


def test_an_upload_that_never_ends_is_given_up() -> None:
    with running(upload_seconds=1) as address, slow_upload(address) as connection:
        assert b"408 Request Timeout" in connection.recv(1000)


def test_a_client_that_hangs_up_is_no_error_of_the_service(capfd: pytest.CaptureFixture[str]) -> None:
    hung_up = 'coronet_requests_total{method="POST",route="/predict",status="499"} 1.0'
    with running() as address:
        with slow_upload(address):
            time.sleep(0.3)
        while hung_up not in (metrics := httpx.get(f"{address}/metrics").text):
            time.sleep(0.02)
    assert 'status="500"' not in metrics
    assert 'coronet_refused_total{reason="client_disconnected"} 1.0' in metrics
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines() if '"/predict"' in line]
    assert line["status"] == 499
    assert "error" not in line


def test_a_page_that_was_sent_counts_as_such() -> None:
    with running() as address:
        for path in ("/", "/static/icon.svg"):
            assert httpx.get(f"{address}{path}").status_code == 200
        metrics = httpx.get(f"{address}/metrics").text
    assert 'coronet_requests_total{method="GET",route="/",status="200"} 1.0' in metrics
    assert 'status="499"' not in metrics


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
