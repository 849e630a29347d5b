"""What the `.dvc` files of raw data could bring, and that bringing it deletes nothing of one's own."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from dvc.repo import Repo
from PIL import Image

from coronet_core.support.errors import DataError, TransientError
from flows.pipeline.raw_data_updates import Waiting, bring_raw_data, waiting_images
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.data import DataParams, ImageFolderSource
from tests.conftest import PARAMS

HERE = Path("data/raw/hospital")
IMPORT = "data/raw/hospital.dvc"


def draw(path: Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), grey).save(path, format="PNG")


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """The folder that images come from, with one."""
    folder = tmp_path / "hospital"
    draw(folder / "healthy" / "0.png", 0)
    return folder


@pytest.fixture(autouse=True)
def project(tmp_path: Path, hospital: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has imported the folder, and is the current one."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Path("data/raw").mkdir(parents=True)
    with Repo.init(no_scm=True) as repo:
        repo.imp_url(str(hospital), str(HERE))
    return folder


@pytest.fixture
def data() -> DataParams:
    source = ImageFolderSource(kind="image_folder", folder="hospital", labels_csv=None, patient_id_pattern=None)
    return replace(read_params(PARAMS).data, root="data/raw", sources=[source])


def test_nothing_waits_where_nothing_is_new(hospital: Path, data: DataParams) -> None:
    (hospital / "healthy" / "._0.png").write_bytes(b"of a system")
    (hospital / "notes").write_text("no image")
    assert waiting_images(data) == []


def test_new_images_of_an_import_wait_and_are_brought(hospital: Path, data: DataParams) -> None:
    draw(hospital / "healthy" / "1.png", 1)
    draw(hospital / "healthy" / "IM0002", 2)
    assert waiting_images(data) == [Waiting(dvc_file=IMPORT, is_import=True, n_images=2)]
    assert not (HERE / "healthy" / "1.png").exists()
    bring_raw_data(data, print)
    assert sorted(path.name for path in HERE.rglob("*") if path.is_file()) == ["0.png", "1.png", "IM0002"]
    assert waiting_images(data) == []


def test_data_that_no_source_reads_do_not_count(hospital: Path, data: DataParams) -> None:
    draw(hospital / "healthy" / "1.png", 1)
    (source,) = data.sources
    assert waiting_images(replace(data, sources=[replace(source, folder="elsewhere")])) == []


def test_files_of_ones_own_in_an_import_are_not_deleted(hospital: Path, data: DataParams) -> None:
    draw(hospital / "healthy" / "1.png", 1)
    draw(HERE / "healthy" / "mine.png", 3)
    with pytest.raises(DataError, match=r"hospital\.dvc: healthy/mine\.png is not from DVC"):
        bring_raw_data(data, print)
    assert (HERE / "healthy" / "mine.png").is_file()


def test_what_was_deleted_at_the_source_is_not_ones_own(hospital: Path, data: DataParams) -> None:
    (hospital / "healthy" / "0.png").unlink()
    draw(hospital / "healthy" / "1.png", 1)
    bring_raw_data(data, print)
    assert [path.name for path in HERE.rglob("*.png")] == ["1.png"]


def test_images_of_a_newer_dvc_file_are_in_the_remote(tmp_path: Path, data: DataParams) -> None:
    """Another clone has added images and pushed them; this one has its commit, and not its data."""
    (source,) = data.sources
    data = replace(data, sources=[replace(source, folder="ward")])
    ward = Path("data/raw/ward")
    draw(ward / "covid19" / "0.png", 0)
    with Repo() as repo, repo.config.edit() as config:
        config["core"]["remote"] = "store"
        config["remote"]["store"] = {"url": str(tmp_path / "store")}
    draw(ward / "covid19" / "1.png", 1)
    with Repo() as repo:
        repo.add(str(ward))
        repo.push()
    (ward / "covid19" / "1.png").unlink()
    shutil.rmtree(".dvc/cache")
    assert waiting_images(data) == [Waiting(dvc_file="data/raw/ward.dvc", is_import=False, n_images=1)]
    bring_raw_data(data, print)
    assert waiting_images(data) == []


def test_a_source_that_is_gone_may_come_back(hospital: Path, data: DataParams) -> None:
    shutil.rmtree(hospital)
    with pytest.raises(TransientError, match=r"hospital\.dvc: new files cannot be listed"):
        waiting_images(data)


def test_files_of_ones_own_among_tracked_ones_are_not_deleted(data: DataParams) -> None:
    (source,) = data.sources
    data = replace(data, sources=[replace(source, folder="ward")])
    draw(Path("data/raw/ward/covid19/0.png"), 0)
    with Repo() as repo:
        repo.add("data/raw/ward")
    Path("data/raw/ward/covid19/0.png").unlink()
    draw(Path("data/raw/ward/covid19/mine.png"), 3)
    with pytest.raises(DataError, match=r"ward\.dvc: covid19/mine\.png is not from DVC"):
        bring_raw_data(data, print)
    assert Path("data/raw/ward/covid19/mine.png").is_file()
