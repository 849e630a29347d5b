"""Which files a prediction is of, how they become shards, and what is refused."""

import os
from pathlib import Path

import pytest
from PIL import Image

from coronet_core.support.errors import DataError
from tasks.inference.input import image_file as files
from tasks.inference.input.image_file import FileContent, ImageFile, shards_of
from tasks.inference.input.storage import find_files, read, read_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans/deep").mkdir(parents=True)
    for name in ("scans/b.png", "scans/a.jpg", "scans/deep/c.pgm"):
        Image.new("L", (9, 9), 50).save(tmp_path / name)
    (tmp_path / "scans/notes.txt").write_text("no image")
    return tmp_path


def paths_of(*named: str) -> list[str]:
    return [file.path for file in find_files(named)[0]]


def test_a_folder_is_searched_at_any_depth_for_images_alone(folder: Path) -> None:
    assert folder.is_dir()
    assert paths_of("scans") == ["scans/a.jpg", "scans/b.png", "scans/deep/c.pgm"]
    assert find_files(["scans"])[1] == {"not an image": 1}


def test_a_file_that_is_named_is_taken_whatever_it_is(folder: Path) -> None:
    assert folder.is_dir()
    assert paths_of("scans/notes.txt") == ["scans/notes.txt"]


def test_patterns_and_paths_together_name_a_file_once(folder: Path) -> None:
    assert paths_of("scans/b.png", "scans/**/*.p*", f"{folder}/scans/*.jpg") == [
        "scans/b.png",
        "scans/deep/c.pgm",
        f"{folder}/scans/a.jpg",
    ]


@pytest.mark.parametrize("path", ["nowhere", "scans/*.dcm", "nowhere/**/*.png"])
def test_a_path_that_names_nothing_is_an_error(folder: Path, path: str) -> None:
    assert folder.is_dir()
    with pytest.raises(DataError, match=r"no such file or folder, and no file by this pattern\. Correct the path"):
        find_files(["scans", path])


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match="no images found \\(not an image \\(1\\)\\)"):
        find_files([str(tmp_path)])


def sized(*sizes: int) -> list[ImageFile]:
    return [ImageFile(str(i), "1", size) for i, size in enumerate(sizes)]


def test_shards_hold_so_many_files_in_order() -> None:
    shards = shards_of(sized(*[1] * 7), max_files=3)
    assert [[file.path for file in shard] for shard in shards] == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


def test_a_shard_is_closed_before_it_is_too_large_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_SHARD_BYTES", 10)
    shards = shards_of(sized(4, 6, 1, 25, 3, 3), max_files=64)
    assert [[file.size_bytes for file in shard] for shard in shards] == [[4, 6], [1], [25], [3, 3]]


def test_a_file_that_has_gone_says_so_when_it_is_read(tmp_path: Path) -> None:
    gone = ImageFile(str(tmp_path / "gone.png"), "1", 3)
    assert read(gone) == FileContent(gone.path, b"", "cannot be opened (No such file or directory)")


def test_a_file_too_large_for_an_x_ray_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "film.png").open("wb") as film:
        film.truncate(5 * 2**30)  # no block of the disk is written
    assert read(find_files([str(tmp_path)])[0][0]).error == "too large (5120 MiB)"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/x.png", "https://example.org/x.png", "file:///etc/passwd", "FTP://x/y.png", "gs://b/x.png"],
)
def test_urls_other_than_s3_are_refused(url: str) -> None:
    with pytest.raises(DataError, match=r"refused\. Images are read from local files and from s3://"):
        find_files([url])


@pytest.mark.parametrize("bucket", ["", "UPPER", "user:word@host", "169.254.169.254", "a", "[::1]", "x" * 64])
def test_an_s3_url_names_a_bucket_and_no_address(bucket: str) -> None:
    with pytest.raises(DataError, match="is not a bucket name"):
        find_files([f"s3://{bucket}/scan.png"])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, make: object) -> None:
    path = tmp_path / "pipe.png"
    assert callable(make)
    make(path)
    assert read(ImageFile(str(path), "1", 0)).error in {"not a regular file", "cannot be opened (Is a directory)"}


def test_a_device_without_end_is_a_row_with_its_reason() -> None:
    found, _ = find_files(["/dev/zero"])
    assert read_files(found) == [FileContent("/dev/zero", b"", "not a regular file")]


def test_a_link_to_nothing_is_a_row_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    found, _ = find_files([str(tmp_path / "gone.png")])
    assert read_files(found)[0].error == "cannot be opened (No such file or directory)"


def test_folders_for_predictions_go_by_the_same_rules_as_sources(folder: Path) -> None:
    (folder / "scans/masks").mkdir()
    for name in ("scans/._b.png", "scans/masks/b.png", "scans/Thumbs.db"):
        (folder / name).write_bytes(b"x")
    (folder / "scans/1.2.840.113619").write_bytes(bytes(128) + b"DICM")
    files, passed_over = find_files(["scans"])
    assert [file.path for file in files] == ["scans/1.2.840.113619", "scans/a.jpg", "scans/b.png", "scans/deep/c.pgm"]
    assert passed_over == {"hidden or companion file": 2, "not an image": 1, "mask beside images": 1}


def test_a_pattern_does_not_name_files_of_systems(folder: Path) -> None:
    hidden = folder / "scans/@eaDir/b.png/SYNOPHOTO_THUMB_M.png"
    hidden.parent.mkdir(parents=True)
    for path in (hidden, folder / "scans/Thumbs.db"):
        path.write_bytes(b"x")
    files, passed_over = find_files(["scans/*.db", "scans/**/*_M.png", "scans/*.png"])
    assert [file.path for file in files] == ["scans/b.png"]
    assert passed_over == {"hidden or companion file": 2}
    named, _ = find_files(["scans/@eaDir/b.png/*.png"])  # whoever names the folder wants it
    assert len(named) == 1
