"""Lines of one kind in the log."""

import logging

import httpx
import pytest

from serving.guards.log_limit import LAST, LINES, SECONDS, LineLimit, LogLimit
from tests.serving.served import running


def test_lines_of_one_kind_are_limited_and_others_are_not() -> None:
    clock = [0.0]
    log_limit = LogLimit(LineLimit(lambda: clock[0]))
    written: list[str] = []

    def log(message: str, *values: object) -> None:
        record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, message, values, None)
        if log_limit.filter(record):
            written.append(record.getMessage())

    for number in range(3 * LINES):
        log("no HTTP from %s", number)
    log("something else")
    assert written == [
        *(f"no HTTP from {number}" for number in range(LINES - 1)),
        f"no HTTP from {LINES - 1} ({LAST})",
        "something else",
    ]
    clock[0] = SECONDS
    log("no HTTP from %s", "again")
    assert written[-1] == "no HTTP from again"


def test_refused_requests_fill_no_log_and_are_all_counted(capfd: pytest.CaptureFixture[str]) -> None:
    with running() as address, httpx.Client(base_url=address) as client:
        for _ in range(2 * LINES):
            client.get("/nowhere")
        for _ in range(2 * LINES):
            client.get("/health")
        assert f'route="other",status="404"}} {2 * LINES}.0' in client.get("/metrics").text
    lines = capfd.readouterr().out.splitlines()
    refused = [line for line in lines if '"status": 404' in line]
    assert len(refused) == LINES
    assert [LAST in line for line in refused] == [False] * (LINES - 1) + [True]
    assert len([line for line in lines if '"route": "/health"' in line]) == 2 * LINES
