"""A second model beside the one that is served."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from coronet_core.support.errors import CoroNetError
from serving.server import BindAddress, serve
from serving.settings import ServingSettings
from tasks.package.package_folder import write_package
from tests.conftest import PROJECT
from tests.serving.served import form, other_model, png, problem, running, served_model, trained_model
from tests.tasks.trained_model import CARD, some_lineage

OTHER = served_model(model=other_model(), source="another")


@pytest.fixture(scope="module")
def heard() -> list[int]:
    return []


@pytest.fixture(scope="module")
def both(heard: list[int]) -> Iterator[httpx.Client]:
    model = served_model(on_rows=lambda rows: heard.append(len(rows)))
    with running(model, OTHER) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def alone() -> Iterator[httpx.Client]:
    with running(OTHER) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def test_each_model_answers_who_asks_for_it(both: httpx.Client, alone: httpx.Client, client: httpx.Client) -> None:
    for ask, single in (("", client), ("?by=model", client), ("?by=challenger", alone)):
        answer = both.post(f"/predict{ask}", files=form(png())).json()
        expected = single.post("/predict", files=form(png())).json()
        assert answer["model"] == expected["model"]
        assert answer["answers"][0]["probabilities"] == pytest.approx(expected["answers"][0]["probabilities"], rel=1e-5)
    assert trained_model().digest != other_model().digest


def test_maps_and_residuals_are_those_of_the_model_that_is_asked(both: httpx.Client, alone: httpx.Client) -> None:
    for path in ("/explain?label=covid19&format=png", "/residuals?format=png"):
        challenger = both.post(f"{path}&by=challenger", files=form(png()))
        assert challenger.content == alone.post(path, files=form(png())).content
        assert challenger.headers["x-model"] == other_model().digest
        assert both.post(path, files=form(png())).headers["x-model"] == trained_model().digest
    maps = [both.post(f"/explain?label=covid19&by={by}", files=form(png())).json() for by in ("model", "challenger")]
    assert maps[0]["values"] != maps[1]["values"]
    assert [one["model"] for one in maps] == [trained_model().digest, other_model().digest]


def test_both_describe_themselves(both: httpx.Client) -> None:
    for by, expected in (
        ("model", ("a test", trained_model().digest, "another")),
        ("challenger", ("another", other_model().digest, None)),
    ):
        told = both.get(f"/model?by={by}").json()
        assert (told["source"], told["digest"], told["challenger"]) == expected
    assert both.get("/ready").json()["challenger"] == {"model": other_model().digest, "behind": None}


def test_metrics_and_who_hears_of_answers_tell_both_apart(both: httpx.Client, heard: list[int]) -> None:
    both.post("/predict?by=challenger", files=form(png()))
    before = len(heard)
    both.post("/predict?by=challenger", files=form(png()))
    assert len(heard) == before
    both.post("/predict", files=form(png()))
    assert len(heard) == before + 1
    told = both.get("/metrics").text
    assert f'coronet_model_info{{digest="{trained_model().digest}"}} 1.0' in told
    assert f'coronet_challenger_model_info{{digest="{other_model().digest}"}} 1.0' in told
    assert "coronet_challenger_images_total{" in told


@pytest.mark.parametrize("path", ["/predict", "/explain", "/residuals", "/preview"])
def test_without_a_challenger_whoever_asks_for_it_is_told(client: httpx.Client, path: str) -> None:
    assert "--challenger SOURCE" in problem(client.post(f"{path}?by=challenger", files=form(png())), 422)
    assert "--challenger SOURCE" in problem(client.get("/model?by=challenger"), 422)
    assert "by" in problem(client.post(f"{path}?by=somebody", files=form(png())), 422)


def test_a_challenger_that_cannot_be_loaded_is_an_error_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("model", "damaged"):
        write_package(tmp_path / name, trained_model(), CARD, some_lineage())
    (tmp_path / "damaged/cin.safetensors").write_bytes(b"cut off")
    monkeypatch.chdir(tmp_path)
    place = BindAddress(host="127.0.0.1", port=0, proxy=None)
    for challenger in ("damaged", "nowhere"):
        with pytest.raises(CoroNetError, match=rf"challenger = {challenger}: cannot be loaded\. .*{challenger}"):
            serve("model", PROJECT / "params.yaml", "cpu", place, ServingSettings(), challenger=challenger)
