"""The service as a process."""

import os
import signal
import socket
import threading
import time

import httpx
import pytest

from coronet_core.support.errors import CoroNetError, ParamsError
from serving.app import build_app
from serving.server import BindAddress, _device, run
from serving.settings import ServingSettings
from tasks.inference.model_source import model_card
from tests.serving.served import served_model


def place(port: int) -> BindAddress:
    return BindAddress(host="127.0.0.1", port=port, proxy=None)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CoroNetError, match=rf"cannot listen on 127\.0\.0\.1, port {port}"):
            run(build_app(served_model(), ServingSettings()), place(port))


def test_it_says_where_it_is_and_ends_in_good_order_by_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    port, found = free_port(), []

    def ask_and_interrupt() -> None:
        for _ in range(500):
            try:
                found.append(httpx.get(f"http://127.0.0.1:{port}/ready").status_code)
                break
            except httpx.ConnectError:
                time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=ask_and_interrupt)
    thread.start()
    run(build_app(served_model(), ServingSettings(log_requests=False)), place(port))
    thread.join()
    assert found == [200]
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().out


def test_a_gpu_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert _device("auto").type == "cpu"
    with pytest.raises(ParamsError, match="Leave --device out"):
        _device("cuda")


def test_a_model_without_a_card_is_served_as_well(tmp_path: os.PathLike[str]) -> None:
    assert model_card(str(tmp_path)) == ""
