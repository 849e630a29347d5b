"""Servers as child processes: how long they are waited for, and what is said meanwhile."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from coronet_core.support.errors import CoroNetError, ParamsError
from flows.servers import server_process as processes
from flows.servers.server_process import TIMEOUT_VARIABLE, Server, child_server, free_port

SERVE = """
import http.server, sys, time
time.sleep(float(sys.argv[2]))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
END = "import sys\nprint('no such database')\nsys.exit(3)\n"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Server]:
    """Return what makes a server of a program and its arguments behind the port."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(processes, "REPORT_EVERY_S", 0.2)

    def make(program: str, *arguments: str) -> Server:
        (tmp_path / "some_server.py").write_text(program)
        port = free_port()
        command = ("some_server", str(port), *arguments)
        return Server(title="Some server", command=command, port=port, health_path="/")

    return make


def test_a_late_server_is_waited_for_and_that_is_reported(
    server: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    late = server(SERVE, "1.5")
    with child_server("late", late) as process:
        assert httpx.get(late.health).status_code == 200
        assert process.poll() is None
    reports = [line for line in capsys.readouterr().err.splitlines() if "waiting for Some server" in line]
    assert len(reports) >= 2
    assert ".coronet/servers/late.log" in reports[0]
    assert process.poll() is not None  # it ends with the block


def test_a_server_that_ends_is_not_waited_for(server: Callable[..., Server]) -> None:
    with (
        pytest.raises(CoroNetError, match=r"Some server ended with code 3: no such database"),
        child_server("e", server(END)),
    ):
        pass


def test_a_server_that_lives_and_never_answers_is_given_up(
    server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, "0.5")
    with (
        pytest.raises(CoroNetError, match=f"is running but did not answer.*{TIMEOUT_VARIABLE}"),
        child_server("n", server(SERVE, "60")),
    ):
        pass


@pytest.mark.parametrize("text", ["", "soon", "0", "-3", "inf", "nan"])
def test_a_limit_that_is_no_time_is_refused(
    server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(TIMEOUT_VARIABLE, text)
    with pytest.raises(ParamsError, match="allowed: seconds above 0"), child_server("n", server(SERVE, "0")):
        pass


def test_a_setting_of_the_environment_wins_over_a_default_but_not_over_what_is_fixed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME", "theirs")
    monkeypatch.setenv("OTHER", "theirs")
    server = Server(title="S", command=(), port=1, health_path="/", defaults={"SOME": "ours"}, fixed={"OTHER": "ours"})
    assert server.environment["SOME"] == "theirs"
    assert server.environment["OTHER"] == "ours"
