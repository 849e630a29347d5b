"""Fetching public data sets: with real git, real archives and the real Kaggle client, which finds no network here."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from coronet_core.support.errors import DataError
from tasks.raw_data import fetch
from tasks.raw_data.fetch import fetch as fetch_dataset

METADATA = "patientid,finding,view,modality,filename\n1,COVID-19,PA,X-ray,a.png\n2,COVID-19,Axial,CT,volume.nii.gz\n"


def git(folder: Path, *arguments: str, day: str = "2020-03-20") -> None:
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", "t"), ("EMAIL", "t"), ("DATE", f"{day}T12:00:00Z"))
    }
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=os.environ | who)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # where the Kaggle client looks for a token
    for name in [name for name in os.environ if name.startswith("KAGGLE")]:
        monkeypatch.delenv(name)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A repository like Cohen's with a commit of March and one of June."""
    repository = tmp_path / "collection"
    (repository / "images").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(repository))
    for day, extra in (("2020-03-20", ""), ("2020-06-20", "3,SARS,PA,X-ray,b.png\n")):
        (repository / "metadata.csv").write_text(METADATA + extra)
        for name in ("a.png", "b.png")[: 2 if extra else 1]:
            (repository / "images" / name).write_bytes(name.encode() * 100)
        git(repository, "add", ".")
        git(repository, "commit", "-qm", day, day=day)
    return repository


def fetched(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_the_collection_is_cloned_checked_and_brought_up_to_date(
    collection: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, url = Path("raw"), str(collection)
    fetch_dataset("covid-chestxray", root, None, "2020-03-29", url)
    assert fetched(root) == {"covid-chestxray/metadata.csv", "covid-chestxray/images/a.png"}
    (Path(".coronet/fetch/covid-chestxray/.git") / "index.lock").touch()  # as a kill leaves it
    fetch_dataset("covid-chestxray", root, None, None, url)
    assert fetched(root) == {f"covid-chestxray/{name}" for name in ("metadata.csv", "images/a.png", "images/b.png")}
    assert "covid-chestxray: 2 images in raw/covid-chestxray" in capsys.readouterr().out


def test_a_day_before_the_collection_is_an_error(collection: Path) -> None:
    with pytest.raises(DataError, match="the collection did not exist on 2019-01-01"):
        fetch_dataset("covid-chestxray", Path("raw"), None, "2019-01-01", str(collection))


def test_what_is_no_day_is_an_error(collection: Path) -> None:
    with pytest.raises(DataError, match="--as-of 2020-13-45: not a date"):
        fetch_dataset("covid-chestxray", Path("raw"), None, "2020-13-45", str(collection))


def test_listed_images_that_are_missing_are_an_error(collection: Path) -> None:
    (collection / "images" / "a.png").unlink()
    git(collection, "commit", "-qam", "lost", day="2020-07-01")
    with pytest.raises(DataError, match=r"missing: 1 of 2 listed images, such as a\.png\. Run the same command again"):
        fetch_dataset("covid-chestxray", Path("raw"), None, None, str(collection))


def test_without_a_network_it_says_what_to_put_where() -> None:
    with pytest.raises(DataError) as caught:
        fetch_dataset("covid-chestxray", Path("raw"), None, None, "/gone")
    said = str(caught.value)
    assert "cannot be fetched (" in said
    assert "`coronet data fetch covid-chestxray --from FILE`, or put into raw/covid-chestxray: metadata.csv and" in said


@pytest.mark.parametrize("name", ["rsna", "covidx"])
def test_the_kaggle_client_without_a_token_is_explained(name: str) -> None:
    with pytest.raises(
        DataError, match=rf"^{name}: cannot be fetched \(.*\)\. Without a network here, download .* from"
    ):
        fetch_dataset(name, Path("raw"), None, None)


def test_a_missing_kaggle_client_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch.shutil, "which", lambda *_, **__: None)
    with pytest.raises(
        DataError, match=r"the Kaggle client is missing: pip install 'coronet\[fetch\]' -c constraints\.txt"
    ):
        fetch_dataset("rsna", Path("raw"), None, None)


RSNA = {
    "stage_2_detailed_class_info.csv": "patientId,class\nn,Normal\no,Lung Opacity\n",
    "stage_2_train_labels.csv": "patientId,x,y,width,height,Target\nn,,,,,0\no,1,1,9,9,1\n",
    "stage_2_train_images/n.dcm": "n" * 5000,
    "stage_2_train_images/o.dcm": "o" * 5000,
    "../outside.csv": "x",
    "stage_2_train_images/../outside.dcm": "x",
    "GCP Credits Request Link.txt": "x",
}


def archive(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as content:
        for name, text in members.items():
            content.writestr(name, text)
    return path


def test_an_archive_by_hand_is_unpacked_and_checked(tmp_path: Path) -> None:
    fetch_dataset("rsna", Path("raw"), archive(tmp_path / "rsna.zip", RSNA), None)
    assert {f"rsna/{name}" for name in list(RSNA)[:4]} <= fetched(Path("raw"))
    assert not list(Path("raw").rglob("outside.*"))
    assert not Path("outside.csv").exists()


def test_what_kaggle_delivers_is_unpacked_and_the_archive_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client itself cannot reach Kaggle here: a script stands for it that leaves the archive where it would."""
    source = archive(tmp_path / "source.zip", RSNA)
    client = tmp_path / "bin" / "kaggle"
    client.parent.mkdir()
    client.write_text(f'#!/bin/sh\ncp "{source}" "$6/$4.zip"\necho "$@" > "{tmp_path}/arguments"\n')
    client.chmod(0o755)
    monkeypatch.setattr(fetch.sys, "executable", str(tmp_path / "bin" / "python"))
    fetch_dataset("rsna", Path("raw"), None, None)
    said = (tmp_path / "arguments").read_text()
    assert said.startswith("competitions download -c rsna-pneumonia-detection-challenge -p .coronet/fetch/rsna")
    assert (Path("raw") / "rsna/stage_2_train_images/o.dcm").is_file()
    assert not list(Path(".coronet").rglob("*.zip"))
    (tmp_path / "arguments").unlink()
    fetch_dataset("rsna", Path("raw"), None, None)
    assert not (tmp_path / "arguments").exists()  # nothing is missing: nothing is downloaded


def test_an_interrupted_unpacking_goes_on(tmp_path: Path) -> None:
    source = archive(tmp_path / "rsna.zip", RSNA)
    fetch_dataset("rsna", Path("raw"), source, None)
    folder = Path("raw/rsna/stage_2_train_images")
    kept = (folder / "n.dcm").stat().st_mtime_ns
    (folder / "o.dcm").unlink()
    fetch_dataset("rsna", Path("raw"), source, None)
    assert (folder / "n.dcm").stat().st_mtime_ns == kept
    assert (folder / "o.dcm").read_text() == RSNA["stage_2_train_images/o.dcm"]


def test_a_damaged_archive_is_an_error_and_leaves_no_half_file(tmp_path: Path) -> None:
    source = archive(tmp_path / "rsna.zip", RSNA)
    content = bytearray(source.read_bytes())
    place = content.index(b"stage_2_train_images/o.dcm") + len("stage_2_train_images/o.dcm") + 3
    content[place] ^= 0xFF
    source.write_bytes(content)
    with pytest.raises(DataError, match="not a whole zip archive"):
        fetch_dataset("rsna", Path("raw"), source, None)
    assert not (Path("raw") / "rsna/stage_2_train_images/o.dcm").exists()
    source.write_bytes(b"half")
    with pytest.raises(DataError, match="not a whole zip archive"):
        fetch_dataset("rsna", Path("raw"), source, None)


def test_covidx_is_checked_against_its_lists(tmp_path: Path) -> None:
    members = {
        "train.txt": "1 a.png positive cohen\n",
        "test.txt": "2 b.png negative cohen\n",
        "train/a.png": "a",
        "test/b.png": "b",
    }
    fetch_dataset("covidx", Path("raw"), archive(tmp_path / "covidx.zip", members), None)
    del members["test/b.png"]
    shutil.rmtree("raw")
    with pytest.raises(DataError, match="missing: 1 of 2 listed images"):
        fetch_dataset("covidx", Path("raw"), archive(tmp_path / "covidx.zip", members), None)


def test_only_git_knows_days() -> None:
    with pytest.raises(DataError, match="Omit --as-of"):
        fetch_dataset("rsna", Path("raw"), None, "2020-03-29")


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    finished = subprocess.run(
        [Path(sys.executable).parent / "coronet", "data", "fetch", "rsna"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("error: rsna: cannot be fetched (")
    assert len(finished.stderr.splitlines()) == 1
