"""New images on real servers: they are noticed in a folder and in a bucket, and start one retrain by themselves."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from coronet_core.common.classes import CLASSES
from flows.watch_data import watch_data
from tests.integration.conftest import make_project
from tests.integration.drawn_images import draw
from tests.integration.hosts import HTTP, Host, ask_json, served_prefect, worker_on
from tests.integration.s3 import S3Server, s3_server

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SOURCE = {"kind": "image_folder", "labels_csv": None, "patient_id_pattern": None, "class_aliases": {}}


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A bucket with an image of each class."""
    folder = tmp_path_factory.mktemp("s3")
    with s3_server(folder, "hospital") as server:
        for label in CLASSES:
            server.client().upload_file(str(draw(folder, label, 100)), "hospital", f"xrays/{label}/100.png")
        yield server


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, bucket: S3Server) -> Iterator[Host]:
    """A project on images of a folder and of the bucket, whose split is built, deployed; the current folder."""
    folder = make_project(tmp_path_factory.mktemp("watch") / "coronet").folder
    for label in CLASSES:
        for number in range(8):
            draw(folder / "data/raw/ward", label, number)
    with served_prefect(folder.parent / "prefect") as (api, _), pytest.MonkeyPatch.context() as patch:
        host = Host(folder, bucket.variables | {"PREFECT_API_URL": api})
        sources = [SOURCE | {"folder": name} for name in ("ward", "hospital")]
        host.set_params({"data": {"root": "data/raw", "sources": sources}})
        for command in (
            ("dvc", "import-url", "s3://hospital/xrays", "data/raw/hospital"),
            ("flows", "data", "build"),
            ("flows", "deploy"),
        ):
            finished = host.run(*command)
            assert finished.returncode == 0, finished.stdout
        patch.chdir(folder)
        for name, value in bucket.variables.items():
            patch.setenv(name, value)
        with temporary_settings({PREFECT_API_URL: api}):
            yield host


def looked(min_new_images: int = 3) -> tuple[str | None, str | None]:
    state = watch_data(min_new_images, return_state=True)
    return state.name, state.message


def retrains(host: Host, reached: Callable[[list[dict[str, Any]]], bool] = bool) -> list[dict[str, Any]]:
    """The runs of the deployment `retrain`, oldest first, once they have come so far."""
    api, deadline = host.variables["PREFECT_API_URL"], time.monotonic() + 120
    body = {"deployments": {"name": {"any_": ["retrain"]}}, "sort": "EXPECTED_START_TIME_ASC"}
    while True:
        runs: list[dict[str, Any]] = ask_json("POST", f"{api}/flow_runs/filter", **body)
        if reached(runs):
            return runs
        assert time.monotonic() < deadline, runs
        time.sleep(0.5)


@pytest.fixture(scope="module")
def arrived(host: Host, bucket: S3Server) -> tuple[str | None, str | None]:
    """What a look says when an image has come to the folder, and two to the bucket, one of them damaged."""
    draw(host.folder / "data/raw/ward", "covid19", 8)
    image = draw(host.folder.parent, "covid19", 101)
    bucket.client().upload_file(str(image), "hospital", "xrays/covid19/101.png")
    bucket.client().put_object(Bucket="hospital", Key="xrays/covid19/102.png", Body=image.read_bytes()[:200])
    return looked()


def test_without_new_images_nothing_is_started(host: Host) -> None:
    assert looked(1) == ("Completed", "0 new images: too few for a retrain (min_new_images is 1)")
    assert retrains(host, lambda _: True) == []


def test_enough_new_images_start_a_retrain_and_a_second_look_starts_none(
    host: Host, arrived: tuple[str | None, str | None]
) -> None:
    assert arrived == ("New images", "3 new images")
    (run,) = retrains(host)
    assert run["parameters"]["reason"] == "3 new images"
    assert run["parameters"]["promotion"] == "manual"
    assert looked(1) == ("Completed", f"not compared: a retrain is under way ({run['name']})")
    assert not (host.folder / "data/raw/hospital/covid19/101.png").exists()


@pytest.mark.usefixtures("arrived")
def test_the_retrain_brings_the_images_is_named_by_them_and_is_not_repeated_when_it_fails(host: Host) -> None:
    with worker_on(host, "default"):
        (run,) = retrains(host, lambda runs: runs[0]["state_type"] == "FAILED")
    assert run["name"].startswith("3 new images; own params, data to be built, code ")
    assert "102.png" in run["state"]["message"]
    assert (host.folder / "data/raw/hospital/covid19/101.png").is_file()
    before = "3 new images, of which 3 already started a retrain: too few for a retrain (min_new_images is 1)"
    assert looked(1) == ("Completed", before)
    assert len(retrains(host)) == 1


@pytest.mark.usefixtures("arrived")
def test_whoever_knows_of_new_images_can_start_a_retrain(host: Host) -> None:
    payload = '{"reason": "40 images of the night shift"}'
    command = ("event", "emit", "coronet.images.arrived", "--resource-id", "coronet.images", "--payload", payload)
    sent = host.run("prefect", *command)
    assert sent.returncode == 0, sent.stdout
    runs = retrains(host, lambda runs: any(run["parameters"]["reason"].startswith("40 images") for run in runs))
    assert len(runs) == 2


@pytest.mark.usefixtures("arrived")
def test_an_automation_that_is_switched_off_is_said(host: Host) -> None:
    api = host.variables["PREFECT_API_URL"]
    (automation,) = [
        one
        for one in ask_json("POST", f"{api}/automations/filter")
        if one["name"] == "CoroNet: new images start a retrain"
    ]
    HTTP.patch(f"{api}/automations/{automation['id']}", json={"enabled": False}).raise_for_status()
    for run in retrains(host):
        HTTP.post(f"{api}/flow_runs/{run['id']}/set_state", json={"state": {"type": "CANCELLED"}, "force": True})
    draw(host.folder / "data/raw/ward", "covid19", 9)
    name, message = looked(1)
    assert name == "Failed"
    assert str(message).startswith("4 new images, but the automation that starts a retrain is missing")
