"""API keys: where they come from, who must have one, and what is open without."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from coronet_core.support.errors import DataError, ParamsError
from serving.guards.api_keys import VARIABLE, is_loopback, read_keys, require_keys
from serving.settings import ServingSettings
from tests.serving.served import form, png, problem, running

KEY, OTHER = "0123456789abcdef", "another-key-of-somebody"


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    with running(keys=(KEY, OTHER), log_requests=False) as address:
        yield address


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/static/main.js", "/health", "/ready"])
def test_pages_and_probes_need_no_key(locked: str, path: str) -> None:
    assert httpx.get(f"{locked}{path}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/model"), ("GET", "/metrics"), ("GET", "/x"), ("POST", "/predict")]
)
@pytest.mark.parametrize("sent", ["", "Bearer", f"Bearer {KEY}x", f"Basic {KEY}", KEY, "Bearer é"])
def test_all_else_needs_one(locked: str, method: str, path: str, sent: str) -> None:
    refused = httpx.request(method, f"{locked}{path}", headers={"Authorization": sent.encode()})
    assert "Authorization: Bearer KEY" in problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("sent", [f"Bearer {KEY}", f"bearer {OTHER}"])
def test_whoever_has_one_is_answered(locked: str, sent: str) -> None:
    with httpx.Client(base_url=locked, headers={"Authorization": sent}, timeout=60) as client:
        assert client.get("/model").status_code == 200
        assert client.post("/predict", files=form(png())).status_code == 200


def test_the_description_says_that_keys_are_asked_for(locked: str, client: httpx.Client) -> None:
    assert httpx.get(f"{locked}/openapi.json").json()["security"] == [{"key": []}]
    assert "security" not in client.get("/openapi.json").json()


def test_keys_are_read_from_a_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text(f"# ward 3\n{KEY}\n\n{OTHER}\n")
    monkeypatch.setenv(VARIABLE, f"{OTHER}\n{KEY} ")
    assert read_keys(tmp_path / "keys") == (KEY, OTHER)
    assert read_keys(None) == (OTHER, KEY)
    monkeypatch.delenv(VARIABLE)
    assert read_keys(None) == ()


@pytest.mark.parametrize("content", ["short", f"{KEY}é", f"{KEY} {OTHER}", "x" * 257])
def test_what_is_no_key_is_refused_and_not_quoted(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n{content}\n")
    with pytest.raises(ParamsError, match="key 2: not a key") as raised:
        read_keys(tmp_path / "keys")
    assert content not in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"# none\n", b"\xff\xfe"])
def test_a_file_without_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(DataError, match="keys = "):
        read_keys(tmp_path / "keys")


def test_settings_do_not_show_keys() -> None:
    assert KEY not in repr(ServingSettings(keys=(KEY,)))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "reading.example", ""])  # noqa: S104  # nothing listens there
def test_other_machines_need_keys_or_an_explicit_word(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ParamsError, match="--without-keys"):
        require_keys(host, (), is_open_to_all=False)
    require_keys(host, (KEY,), is_open_to_all=False)
    require_keys(host, (), is_open_to_all=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    require_keys(host, (), is_open_to_all=False)
