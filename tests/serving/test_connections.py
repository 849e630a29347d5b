"""Connections: half-sent, silent, slow and too many ones do not keep others from being answered."""

import multiprocessing
import os
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from serving.app import build_app
from serving.guards import connections
from serving.guards.connections import FEWEST, OTHER_FILES, fit_open_files
from serving.server import BindAddress, run
from serving.settings import ServingSettings
from tests.conftest import PROJECT
from tests.serving.served import form, png, running, served_model
from tests.serving.test_pace import slow_upload
from tests.serving.test_server import free_port

HALF = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
WHOLE = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def connected(address: str, sent: bytes = b"") -> socket.socket:
    place = urlsplit(address)
    connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=20)
    connection.sendall(sent)
    return connection


def ask(connection: socket.socket) -> None:
    """Send a whole request and take its response."""
    connection.sendall(WHOLE)
    said = b""
    while not said.endswith(b'{"status":"ok"}'):
        got = connection.recv(1000)
        assert got, said
        said += got


def closed_after(connection: socket.socket, drip: bytes = b"") -> tuple[float, bytes]:
    """Return after how many seconds the service closes the connection, and what it says."""
    began, said = time.monotonic(), b""
    connection.settimeout(0.1)
    while time.monotonic() - began < 20:
        try:
            got = connection.recv(1000)
        except TimeoutError:
            connection.sendall(drip)
            continue
        except ConnectionResetError:
            got = b""
        if not got:
            return time.monotonic() - began, said
        said += got
    raise AssertionError("not closed")


def closed_for(address: str, reason: str) -> float:
    prefix = f'coronet_connections_closed_total{{reason="{reason}"}} '
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(float(line.removeprefix(prefix)) for line in lines if line.startswith(prefix))


@pytest.mark.parametrize("drip", [b"", b"x"])
@pytest.mark.parametrize("is_first", [True, False])
def test_headers_that_do_not_come_in_time_are_given_up(drip: bytes, *, is_first: bool) -> None:
    with running(header_seconds=1) as address, connected(address) as connection:
        if not is_first:
            ask(connection)
        connection.sendall(HALF)
        seconds, said = closed_after(connection, drip)
        assert 0.8 < seconds < 5
        assert said == connections.TIMED_OUT
        assert closed_for(address, "header_timeout") == 1


def test_a_connection_on_which_nothing_comes_is_closed_without_a_word() -> None:
    with running(header_seconds=1) as address, connected(address) as connection:
        seconds, said = closed_after(connection)
        assert 0.8 < seconds < 5
        assert said == b""


def test_a_connection_between_two_requests_and_a_request_in_work_may_last_longer() -> None:
    with running(header_seconds=0.5, upload_seconds=2) as address, connected(address) as connection:
        ask(connection)
        time.sleep(1)
        ask(connection)
        with slow_upload(address) as upload:
            seconds, said = closed_after(upload)
        assert seconds > 1.5
        assert b"408 Request Timeout" in said


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"connections_per_client": 3}, "too_many_of_client"), ({"connections": 3}, "too_many")],
)
def test_the_connection_that_has_waited_longest_gives_way_to_a_new_one(limits: dict[str, int], reason: str) -> None:
    with running(**limits) as address, ExitStack() as stack:
        in_work = stack.enter_context(slow_upload(address))
        time.sleep(0.3)
        oldest, second = (stack.enter_context(connected(address, HALF)) for _ in range(2))
        assert httpx.get(f"{address}/health").status_code == 200
        assert closed_after(oldest)[0] < 1
        assert select.select([second, in_work], [], [], 0.2)[0] == []
        assert closed_for(address, reason) >= 1


def test_where_all_connections_are_in_work_a_new_one_is_refused() -> None:
    with running(connections_per_client=2, upload_seconds=1.5) as address:
        with slow_upload(address), slow_upload(address):
            time.sleep(0.3)
            with connected(address) as refused:
                assert closed_after(refused)[1] == connections.FULL
            time.sleep(2)
        assert httpx.get(f"{address}/health").status_code == 200


def test_headers_that_are_too_large_are_refused(address: str) -> None:
    before = closed_for(address, "not_http")
    assert httpx.get(f"{address}/health", headers={"X-Large": "x" * 15_000}).status_code == 200
    with connected(address, HALF + b"x" * 300_000) as connection:  # what comes in one piece is parsed whole
        assert closed_after(connection)[1].startswith(b"HTTP/1.1 400")
    assert closed_for(address, "not_http") == before + 1


def test_a_client_that_does_not_take_its_responses_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RESPONSE_SECONDS", 1)
    wanted = b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with running(log_requests=False) as address, connected(address) as connection:
        connection.setblocking(False)  # noqa: FBT003
        while not closed_for(address, "response_not_taken"):
            try:
                connection.send(100 * wanted)
            except BlockingIOError:
                time.sleep(0.1)
            except (ConnectionResetError, BrokenPipeError):
                break
        assert closed_for(address, "response_not_taken") == 1


@pytest.fixture
def open_files() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_for_the_connections(open_files: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, open_files[1]))
    assert fit_open_files(400) == 400
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 400 + OTHER_FILES


@pytest.mark.parametrize(
    ("hard", "allowed"),
    [(512, str(512 - OTHER_FILES)), (OTHER_FILES + FEWEST - 1, "open files: at most 207 are allowed here")],
)
def test_where_it_cannot_be_raised_there_are_fewer_connections(hard: int, allowed: str) -> None:
    code = f"""import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({hard}, {hard}))
from serving.guards.connections import fit_open_files; print(fit_open_files(1000))"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert allowed in (done.stdout + done.stderr).splitlines()[-1]


def _serve(port: int, log: Path, open_files: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    run(
        build_app(served_model(), ServingSettings(header_seconds=3)),
        BindAddress(host="127.0.0.1", port=port, proxy=None),
    )


@contextmanager
def service_in_its_own_process(log: Path, open_files: int) -> Iterator[str]:
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(port, log, open_files))
    process.start()
    try:
        while True:
            assert process.is_alive()
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=60)
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.join()


@pytest.mark.slow
def test_more_half_sent_headers_than_files_may_be_open_silence_neither_service_nor_log(
    tmp_path: Path, open_files: tuple[int, int]
) -> None:
    if open_files[1] < 2000:
        pytest.skip(f"this process may open only {open_files[1]} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(open_files[0], 2000), open_files[1]))
    with service_in_its_own_process(tmp_path / "log", 512) as address, ExitStack() as stack:
        held = [stack.enter_context(connected(address, HALF)) for _ in range(1100)]
        began = time.monotonic()
        assert httpx.get(f"{address}/health", timeout=5).status_code == 200
        assert httpx.post(f"{address}/predict", files=form(png()), timeout=5).status_code == 200
        assert time.monotonic() - began < 5
        for connection in held[-100:]:  # the others gave way to them
            assert closed_after(connection)[0] < 15
        assert httpx.get(f"{address}/health", timeout=5).status_code == 200
    assert "warning: 320 connections at most" in (tmp_path / "log").read_text()
    assert len((tmp_path / "log").read_text().splitlines()) < 60
