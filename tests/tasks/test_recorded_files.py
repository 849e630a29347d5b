"""Files of former runs by their digests: in place, in DVC's cache, in its remote, and never another file."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coronet_core.support.errors import DataError
from tasks.package.recorded_files import content_of, files_of_folder

REPORT = Path("reports/metrics.json")
CONTENT = b'{"accuracy": 0.5}\n'
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
CACHED = Path(".dvc/cache/files/md5", MD5[:2], MD5[2:])


def dvc(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], check=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose DVC has a report in its cache and in its remote, and in whose folder is a later one."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        REPORT.parent.mkdir()
        REPORT.write_bytes(CONTENT)
        dvc("init", "--no-scm")
        dvc("remote", "add", "--default", "remote", "remote")
        dvc("add", "reports")
        dvc("push")
        REPORT.unlink()
        REPORT.write_bytes(b'{"accuracy": 0.9}\n')
    return folder


@pytest.fixture(autouse=True)
def kept(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(template, tmp_path / "project"))


def test_a_file_in_its_place_needs_no_dvc() -> None:
    shutil.rmtree(".dvc")
    REPORT.write_bytes(CONTENT)
    assert content_of(REPORT, MD5) == CONTENT


@pytest.mark.parametrize("digest", ["../../../../secret", "", MD5[:-1], f"{MD5}\n"])
def test_what_is_no_digest_names_no_file(digest: str) -> None:
    Path("secret").write_text("of somebody else")
    with pytest.raises(DataError, match=r"digest .* is refused"):
        content_of(REPORT, digest)


def test_what_was_there_before_is_in_the_cache() -> None:
    assert CACHED.is_file()
    assert content_of(REPORT, MD5) == CONTENT


def test_what_the_cache_has_lost_is_in_the_remote() -> None:
    shutil.rmtree(".dvc/cache")
    assert content_of(REPORT, MD5) == CONTENT


def test_a_damaged_copy_is_passed_over() -> None:
    CACHED.chmod(0o644)
    CACHED.write_bytes(b'{"accuracy": 1.0}\n')
    assert content_of(REPORT, MD5) == CONTENT  # the remote's
    shutil.rmtree("remote")
    assert content_of(REPORT, MD5) is None


def test_what_is_nowhere_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert content_of(REPORT, "0" * 32) is None
    assert files_of_folder("0" * 32 + ".dir") == {}
    assert capsys.readouterr().out == ""


def test_a_remote_that_cannot_be_read_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    dvc("remote", "modify", "remote", "url", "s3://no-such-bucket/x")
    dvc("remote", "modify", "remote", "endpointurl", "http://127.0.0.1:9")
    shutil.rmtree(".dvc/cache")
    assert content_of(REPORT, MD5) is None
    assert "DVC's remote cannot be read (" in capsys.readouterr().out


def test_a_folder_is_a_list_of_its_files() -> None:
    md5 = next(line.split()[-1] for line in Path("reports.dvc").read_text().splitlines() if "md5:" in line)
    assert files_of_folder(md5) == {"metrics.json": MD5}


def test_outside_a_project_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert content_of(REPORT, MD5) is None
