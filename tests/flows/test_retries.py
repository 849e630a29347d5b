"""Waiting for a server that does not answer."""

import httpx
import pytest

from coronet_core.support.errors import TransientError
from flows.monitoring import server_wait as timeouts
from flows.monitoring.server_wait import retry_until_reachable


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "POLL_S", 0.0)


def test_what_cannot_be_reached_is_asked_again() -> None:
    tried = []

    def ask() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise httpx.ConnectError("refused")
        return "answer"

    assert retry_until_reachable(ask) == "answer"
    assert len(tried) == 3


def test_patience_ends() -> None:
    def ask() -> str:
        raise httpx.ConnectError("refused")

    with pytest.raises(TransientError, match=r"does not answer \(ConnectError\)"):
        retry_until_reachable(ask, retry_for_s=0.01)


def test_a_refusal_is_no_absence() -> None:
    def ask() -> str:
        raise httpx.HTTPStatusError("404", request=httpx.Request("GET", "http://a"), response=httpx.Response(404))

    with pytest.raises(httpx.HTTPStatusError):
        retry_until_reachable(ask)
