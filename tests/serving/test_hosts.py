"""Whom the service answers, and what it tells of errors of its own."""

import json
from typing import Any

import httpx
import pytest

from coronet_core.support.errors import ParamsError
from serving.service import Service
from serving.settings import ServingSettings
from tests.serving.served import form, png, problem, running, served_model


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "169.254.169.254", "", "[::"])
def test_a_name_that_the_service_does_not_go_by_is_refused(client: httpx.Client, host: str) -> None:
    assert "--allow-host" in problem(client.get("/model", headers={"Host": host}), 421)


def test_a_name_that_is_allowed_is_answered() -> None:
    with running(hosts=("reading.example",)) as address:
        assert httpx.get(f"{address}/health", headers={"Host": "Reading.example:8000"}).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_is_refused(client: httpx.Client, site: str) -> None:
    problem(client.post("/predict", files=form(png()), headers={"Sec-Fetch-Site": site}), 403)


@pytest.mark.parametrize("route", ["/predict", "/explain", "/residuals", "/preview"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "http://127.0.0.1", "null", ""])
def test_a_post_from_a_page_of_another_origin_is_refused(client: httpx.Client, route: str, origin: str) -> None:
    problem(client.post(route, files=form(png()), headers={"Origin": origin}), 403)


def test_a_post_from_the_own_page_is_answered(client: httpx.Client, address: str) -> None:
    assert client.post("/predict", files=form(png()), headers={"Origin": address}).status_code == 200


def test_settings_out_of_range_are_told_all_at_once() -> None:
    with pytest.raises(ParamsError) as raised:
        ServingSettings(batch_images=0, upload_mib=float("nan"), files=65, rate="often")
    told = str(raised.value).splitlines()
    assert [line.partition(" = ")[0] for line in told] == ["batch_images", "upload_mib", "files", "rate"]


def test_an_error_that_nobody_foresaw_is_a_problem_for_the_client_and_a_traceback_for_the_log(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(Service, "_answer_all", broken)
    with running(served_model(), log_requests=False) as address:
        response = httpx.post(f"{address}/predict", files=form(png(), name="Doe_Jane.png"), timeout=60)
    assert "secret" not in problem(response, 500)
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    assert line["request_id"] == response.headers["x-request-id"]
    assert "a secret of the inside" in line["error"]
    assert "Doe_Jane" not in json.dumps(line)
