"""Maps of image files: what is written, under which names, and what is not done twice."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from coronet_core.data.sources import phantom
from coronet_core.support.errors import DataError, ParamsError
from tasks.inference.attribution import MapSettings
from tasks.inference.input.storage import find_files
from tasks.inference.overlays import Overlays
from tasks.inference.predictor import Networks
from tasks.package.package_folder import write_package
from tasks.runtime.params.explain import MethodName
from tests.conftest import PROJECT
from tests.tasks.damage import DAMAGES, spoil
from tests.tasks.finished_run import small_params
from tests.tasks.trained_model import CARD, some_lineage, untrained_model

METHODS: list[MethodName] = ["perturbation", "occlusion", "integrated_gradients", "grad_cam"]
EVIL = "<img src=x onerror=alert(1)>.pgm"


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.manual_seed(0)
    return Networks.of(untrained_model(), torch.device("cpu"))


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a.pgm", "b.pgm", EVIL):
        pixels, _ = phantom.draw(0, "healthy", name, 0, 96)
        (folder / name).write_bytes(b"P5 96 96 255\n" + pixels.tobytes())
    (folder / "bad.png").write_bytes(b"not an image")
    return folder


def drawn(networks: Networks, scans: Path, out: Path, method: MethodName = "grad_cam") -> list[dict[str, Any]]:
    settings = MapSettings(params=small_params().explain, seed=1)
    files, _ = find_files([str(scans)])
    return Overlays(networks=networks, method=method, settings=settings, folder=out).draw(files)


@pytest.mark.parametrize(
    "method", [pytest.param(method, marks=[] if method == "grad_cam" else pytest.mark.slow) for method in METHODS]
)
def test_every_readable_file_has_a_map_of_its_image_s_size_and_an_overlay(
    networks: Networks, scans: Path, tmp_path: Path, method: MethodName
) -> None:
    rows = drawn(networks, scans, tmp_path / "out", method)
    assert [row.get("error") for row in rows] == [None, None, None, "not an image"]
    for row in rows[:3]:
        salience = np.load(tmp_path / "out" / row["map"], allow_pickle=False)
        assert (salience.shape, salience.dtype) == ((64, 64), np.float32)
        assert (salience >= 0).all()
        with Image.open(tmp_path / "out" / row["overlay"]) as overlay:
            assert "predicted as" in overlay.info["Description"]


def test_the_index_has_a_row_a_file(networks: Networks, scans: Path, tmp_path: Path) -> None:
    drawn(networks, scans, tmp_path / "out")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out/index_grad_cam.csv").read_text())))
    assert {Path(row["path"]).name: row["error"] for row in rows}["bad.png"] == "not an image"
    assert all((tmp_path / "out" / row["overlay"]).is_file() for row in rows if not row["error"])


def test_names_hold_nothing_that_leads_elsewhere_or_runs_on_a_page(
    networks: Networks, scans: Path, tmp_path: Path
) -> None:
    drawn(networks, scans, tmp_path / "out")
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert len(names) == 7
    assert not set("".join(names)) & set("<>=()/\\ '\"&")


def test_files_of_one_name_do_not_overwrite_each_other(networks: Networks, scans: Path, tmp_path: Path) -> None:
    (scans / "deep").mkdir()
    (scans / "deep/a.pgm").write_bytes((scans / "b.pgm").read_bytes())
    rows = drawn(networks, scans, tmp_path / "out")
    assert len({row["map"] for row in rows if "map" in row}) == 4


def test_what_is_drawn_is_not_drawn_again(networks: Networks, scans: Path, tmp_path: Path) -> None:
    first = drawn(networks, scans, tmp_path / "out")
    lost = tmp_path / "out" / first[0]["overlay"]
    lost.unlink()
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    assert drawn(networks, scans, tmp_path / "out") == first
    assert lost.is_file()
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert drawn(networks, scans, tmp_path / "out") == first  # with nothing left to draw


@pytest.mark.parametrize(
    "damage", [pytest.param("nothing left", marks=pytest.mark.slow), "half", "other bytes in the middle"]
)
@pytest.mark.parametrize("kind", ["overlay", "map"])
def test_what_is_damaged_is_drawn_again(
    networks: Networks, scans: Path, tmp_path: Path, kind: str, damage: str
) -> None:
    first = drawn(networks, scans, tmp_path / "out")
    damaged = tmp_path / "out" / first[0][kind]
    length = damaged.stat().st_size
    spoil(damaged, DAMAGES[damage])
    spoilt = damaged.read_bytes()
    assert drawn(networks, scans, tmp_path / "out") == first
    assert damaged.read_bytes() != spoilt
    assert damaged.stat().st_size == pytest.approx(length, rel=0.1)  # alone in its batch it differs by a rounding


def test_other_code_draws_all_again(
    networks: Networks, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {row["map"] for row in drawn(networks, scans, tmp_path / "out") if "map" in row}
    monkeypatch.setattr("tasks.inference.overlays.code_digest", lambda _: "another")
    assert first.isdisjoint(row.get("map") for row in drawn(networks, scans, tmp_path / "out"))


def test_a_file_that_has_changed_is_drawn_again(networks: Networks, scans: Path, tmp_path: Path) -> None:
    first = drawn(networks, scans, tmp_path / "out")
    (scans / "a.pgm").write_bytes((scans / "b.pgm").read_bytes() + b"\n")
    assert drawn(networks, scans, tmp_path / "out")[1]["map"] != first[1]["map"]


def test_a_folder_of_other_things_is_left_alone(networks: Networks, scans: Path) -> None:
    with pytest.raises(DataError, match="so it is not a folder of maps"):
        drawn(networks, scans, scans)


def lineage_params(**explain: Any) -> dict[str, Any]:
    from ruamel.yaml import YAML

    params = YAML(typ="safe").load((PROJECT / "params.yaml").read_text())
    return {"seed": 5, "explain": params["explain"] | explain}


def test_a_package_brings_the_settings_of_its_run(tmp_path: Path) -> None:
    write_package(tmp_path / "package", untrained_model(), CARD, some_lineage(params=lineage_params(batch_size=3)))
    settings = MapSettings.of(None, str(tmp_path / "package"), 64)
    assert settings.params.batch_size == 3
    assert settings != replace(settings, seed=settings.seed + 1)


@pytest.mark.parametrize("explain", [{"batch_size": 0}, {"unknown": 1}])
def test_settings_of_another_version_are_told(tmp_path: Path, explain: dict[str, int]) -> None:
    lineage = some_lineage(params=json.loads(json.dumps(lineage_params(**explain))))
    write_package(tmp_path / "package", untrained_model(), CARD, lineage)
    with pytest.raises(ParamsError, match=r"another version of CoroNet\. Give a params file"):
        MapSettings.of(None, str(tmp_path / "package"), 64)


def test_a_mask_larger_than_the_images_is_told(tmp_path: Path) -> None:
    params = lineage_params()
    write_package(tmp_path / "package", untrained_model(), CARD, some_lineage(params=params))
    with pytest.raises(ParamsError, match="mask_size_px = 16: allowed: at most 8, the size"):
        MapSettings.of(None, str(tmp_path / "package"), 8)


def test_without_settings_of_a_run_those_of_a_file_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(tmp_path / "package", untrained_model(), CARD, some_lineage())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"params\.yaml: no such parameter file"):
        MapSettings.of(None, str(tmp_path / "package"), 64)
    Path("data/raw").mkdir(parents=True)
    assert MapSettings.of(PROJECT / "params.yaml", str(tmp_path / "package"), 64).params.batch_size == 7
