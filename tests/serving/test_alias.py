"""A service whose alias moves to another version, in a real MLflow store."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient

from serving.alias_watch import is_alias
from serving.service import Service
from tasks.package.package_folder import write_package
from tasks.registry.model_name import MODEL
from tasks.registry.registration import register
from tasks.registry.versions import CHAMPION, DIGEST_TAG
from tests.serving.served import form, png, running, served_model, trained_model
from tests.tasks.trained_model import CARD, some_lineage

SOURCE = f"models:/{MODEL}@{CHAMPION}"
SERVED = served_model(source=SOURCE)
OTHER = replace(trained_model(), batch_size=3)
FIRST, SECOND = trained_model().digest, OTHER.digest
WAIT_S = 60


@dataclass
class Registry:
    client: MlflowClient

    def move(self, number: int) -> None:
        """Let the alias mean this version."""
        self.client.set_registered_model_alias(MODEL, CHAMPION, str(number))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        for name, model in (("one", trained_model()), ("other", OTHER)):
            write_package(folder / name, model, f"{CARD}{name}", some_lineage())
            register(folder / name)
        yield Registry(MlflowClient())


@pytest.fixture
def registry(store: Registry) -> Registry:
    store.move(1)
    return store


@contextmanager
def following() -> Iterator[httpx.Client]:
    with (
        running(SERVED, alias_seconds=0.1) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        yield client


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def ready(client: httpx.Client) -> Any:
    response = client.get("/ready")
    assert response.status_code == 200
    return response.json()


def networks_at_work() -> int:
    return sum(one.name.startswith("networks") for one in threading.enumerate())


@pytest.mark.parametrize(
    ("source", "expected"),
    [(SOURCE, True), (f"models:/{MODEL}/3", False), ("the last run", False), ("folder@champion", False)],
)
def test_what_may_come_to_mean_another_model(source: str, *, expected: bool) -> None:
    assert is_alias(source) == expected


def test_requests_that_have_begun_end_with_the_former_model_and_new_ones_get_the_other(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    may_go_on, is_asked, answer_all = threading.Event(), threading.Event(), Service._answer_all

    def slow_if_former(service: Service, files: Any) -> Any:
        if service.served.model.digest == FIRST:
            is_asked.set()
            may_go_on.wait(WAIT_S)
        return answer_all(service, files)

    monkeypatch.setattr(Service, "_answer_all", slow_if_former)
    others = networks_at_work()
    with following() as client, ThreadPoolExecutor(1) as pool:
        assert client.get("/model").json()["digest"] == FIRST
        begun = pool.submit(httpx.post, f"{client.base_url}/predict", files=form(png()), timeout=60)
        assert is_asked.wait(WAIT_S)
        registry.move(2)
        wait_until(lambda: ready(client) == {"status": "ok", "model": SECOND, "behind": None, "challenger": None})
        assert client.post("/predict", files=form(png())).json()["model"] == SECOND
        assert client.get("/model").json()["card"] == f"{CARD}other"
        assert f'coronet_model_info{{digest="{SECOND}"}} 1.0' in client.get("/metrics").text
        assert FIRST not in client.get("/metrics").text
        may_go_on.set()
        assert begun.result().json()["model"] == FIRST
        wait_until(lambda: networks_at_work() == others + 1)  # it is closed
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines() if "model_replaced" in line]
    assert (line["version"], line["model"]) == (2, SECOND)


def test_a_challenger_follows_its_alias_and_the_model_stays(registry: Registry) -> None:
    challenger = served_model(source=SOURCE)
    with (
        running(served_model(), challenger, alias_seconds=0.1) as address,
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        registry.move(2)
        wait_until(lambda: ready(client)["challenger"] == {"model": SECOND, "behind": None})
        assert ready(client)["model"] == FIRST
        assert client.post("/predict?by=challenger", files=form(png())).json()["model"] == SECOND
        assert client.post("/predict", files=form(png())).json()["model"] == FIRST


def test_a_model_that_cannot_be_loaded_replaces_nothing_and_is_reported(
    registry: Registry, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_package(tmp_path / "third", replace(OTHER, batch_size=5), CARD, some_lineage())
    third = register(tmp_path / "third")
    registry.client.set_model_version_tag(MODEL, str(third.number), DIGEST_TAG, "0" * 64)
    with following() as client:
        registry.move(third.number)
        wait_until(lambda: ready(client)["behind"] is not None)
        state = ready(client)
        assert state["model"] == FIRST
        assert state["behind"].startswith(f"{SOURCE} cannot be looked up or loaded")
        assert client.post("/predict", files=form(png())).json()["model"] == FIRST
        time.sleep(0.5)  # more looks, no more lines
        registry.move(2)
        wait_until(lambda: ready(client) == {"status": "ok", "model": SECOND, "behind": None, "challenger": None})
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines() if '"error"' in line]
    assert f"models:/{MODEL}/{third.number}: the registry's artifacts differ" in line["error"]
