"""Which requests a guarded server answers."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from coronet_core.support.errors import ParamsError
from flows.servers.cross_site_guard import HOSTS_VARIABLE, allowed_hosts, guarded

LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "cross-site"}


def page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("answered")


def ask(method: str, headers: dict[str, str]) -> httpx.Response:
    app = guarded(Starlette(routes=[Route("/", page, methods=["GET", "POST"])]))

    async def answer() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:4200") as client:
            return await client.request(method, "/", headers=headers)

    return asyncio.run(answer())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:4200"},
        {"Host": "localhost:4200", "Origin": "http://localhost:4200"},
        {"Host": "localhost:8000", "Origin": "http://localhost:8000"},  # through a tunnel
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_programs_and_its_own_page_are_answered(headers: dict[str, str]) -> None:
    assert ask("POST", headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Host": "127.0.0.1.evil.example:4200"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9000"},
        {"Origin": "http://127.0.0.1:4200.evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_names_and_other_sites_are_refused(method: str, headers: dict[str, str]) -> None:
    answer = ask(method, headers)
    assert answer.status_code in {400, 403}
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_on_another_site_opens_the_page_but_not_in_a_frame() -> None:
    assert ask("GET", LINK).status_code == 200
    assert ask("GET", LINK | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
    assert ask("POST", LINK).status_code == 403


def test_a_proxys_name_is_answered_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {"Host": "coronet.example.org", "Origin": "https://coronet.example.org"}
    assert ask("POST", headers).status_code == 400
    monkeypatch.setenv(HOSTS_VARIABLE, "other.example.org, coronet.example.org")
    assert ask("POST", headers).status_code == 200


@pytest.mark.parametrize("names", ["*", "*.example.org", "https://coronet.example.org", "coronet.example.org:443"])
def test_what_is_no_host_name_is_refused(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, names)
    with pytest.raises(ParamsError, match="allowed: host names"):
        allowed_hosts()
