"""Fetching public data sets: `coronet data fetch`. Downloads are checked; offline, it prints what to put where.

Downloads stay in `.coronet/fetch` until their content is complete and in place. An interrupted fetch resumes: git and
the Kaggle client keep what they have, and unpacked files are not unpacked again.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

from coronet_core.data.file_kinds import has_image_suffix
from coronet_core.data.file_names import relative_path
from coronet_core.data.image_files import is_companion
from coronet_core.data.sources.covidx_lists import read_list
from coronet_core.data.sources.label_tables import read_table
from coronet_core.support.errors import DataError
from coronet_core.support.plurals import counted
from coronet_core.support.whole_files import put_in_place
from tasks.raw_data.unpack import unpack
from tasks.runtime.paths import STATE
from tasks.runtime.progress import log

DOWNLOADS = STATE / "fetch"
COLLECTION = "https://github.com/ieee8023/covid-chestxray-dataset"
MAX_MISSING_FRACTION = 0.01
"""Collections list a few images that they do not hold."""


def fetch(name: str, root: Path, archive: Path | None, as_of: str | None, url: str = COLLECTION) -> None:
    """Fetch data set `name` into the folder `root`/`name`, or unpack it from `archive`, and check it.

    `as_of` is a day (2020-03-29) whose state of the covid-chestxray collection is wanted. Raises DataError when it
    cannot be fetched or is not whole.
    """
    dataset, folder = DATASETS[name], root / name
    if as_of is not None and (dataset.kaggle or archive is not None):
        raise DataError(f"{name}: only data sets fetched by git have a state of {as_of}. Omit --as-of.")
    if archive is not None:
        unpack(archive, folder, _place)
    elif dataset.kaggle and _is_complete(dataset, folder):
        log(f"{name}: nothing is missing; delete {folder} to fetch it again")
    elif dataset.kaggle:
        unpack(_download(dataset, folder), folder, _place)
    else:
        _checkout(dataset, folder, None if as_of is None else _day(as_of), url)
    wanted = dataset.images(folder)
    missing = [file for file in wanted if not file.is_file()]
    if len(missing) > MAX_MISSING_FRACTION * len(wanted):
        raise DataError(
            f"{folder}: missing: {len(missing)} of {counted(len(wanted), 'listed image')}, such as {missing[0].name}. "
            "Run the same command again: it fetches what is missing."
        )
    if dataset.kaggle and archive is None:
        shutil.rmtree(DOWNLOADS / name, ignore_errors=True)
    log(f"{name}: {counted(len(wanted) - len(missing), 'image')} in {folder}")


def _is_complete(dataset: "Dataset", folder: Path) -> bool:
    try:
        return all(file.is_file() for file in dataset.images(folder))
    except DataError:  # its tables are not there yet
        return False


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--as-of {text}: not a date. Write it as 2020-03-29.") from error


def _place(member: PurePosixPath) -> PurePosixPath | None:
    """Return where a member of an archive belongs: images in the folder they have, tables and lists beside them."""
    try:
        relative_path(str(member), "member")
    except DataError:
        return None
    if is_companion(str(member)):
        return None
    if has_image_suffix(str(member)) and len(member.parts) > 1:
        return PurePosixPath(*member.parts[-2:])
    return PurePosixPath(member.name) if member.suffix in {".csv", ".txt"} else None


def _download(dataset: "Dataset", folder: Path) -> Path:
    client = shutil.which("kaggle", path=str(Path(sys.executable).parent)) or shutil.which("kaggle")
    if client is None:
        missing = f"{dataset.name}: the Kaggle client is missing: pip install 'coronet[fetch]' -c constraints.txt."
        raise DataError(f"{missing} {_by_hand(dataset, folder)}")
    target = DOWNLOADS / dataset.name
    target.mkdir(parents=True, exist_ok=True)
    _run([client, *dataset.kaggle, "-p", str(target)], dataset, folder)
    archives = sorted(target.glob("*.zip"))
    if not archives:
        raise DataError(f"{dataset.name}: the Kaggle client left no archive in {target}. {_by_hand(dataset, folder)}")
    return archives[0]


def _checkout(dataset: "Dataset", folder: Path, as_of: date | None, url: str) -> None:
    clone = DOWNLOADS / dataset.name
    if clone.exists():
        _run(["git", "-C", str(clone), "fetch", "origin"], dataset, folder)
    else:
        begun = clone.with_name(f"{clone.name}.begun")
        shutil.rmtree(begun, ignore_errors=True)
        _run(["git", "clone", "--filter=blob:none", "--no-checkout", url, str(begun)], dataset, folder)
        begun.replace(clone)
    revision = "origin/HEAD"
    if as_of is not None:
        last = ["git", "-C", str(clone), "rev-list", "-1", f"--before={as_of} 23:59:59 +0000", revision]
        revision = subprocess.run(last, check=True, capture_output=True, text=True).stdout.strip()
        if not revision:
            raise DataError(f"{dataset.name}: the collection did not exist on {as_of}. Choose a later date.")
    (clone / ".git" / "index.lock").unlink(missing_ok=True)  # of a checkout that was killed
    _run(["git", "-C", str(clone), "checkout", "--force", "--detach", revision], dataset, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("images", "metadata.csv"):
        coming = folder / f".{name}.coming"
        shutil.rmtree(coming, ignore_errors=True)
        shutil.move(clone / name, coming)  # git checks it out again when it is fetched once more
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        put_in_place(coming, folder / name)


def _run(command: list[str], dataset: "Dataset", folder: Path) -> None:
    """Run a client; on a terminal its progress is seen, which it writes to standard error."""
    errors = None if sys.stderr.isatty() else subprocess.PIPE
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
    if finished.returncode != 0:
        lines = ((finished.stderr or "") + finished.stdout).strip().splitlines()
        reason = lines[-1].strip() if lines else f"exit code {finished.returncode}"
        raise DataError(f"{dataset.name}: cannot be fetched ({reason}). {_by_hand(dataset, folder)}")


def _by_hand(dataset: "Dataset", folder: Path) -> str:
    return (
        f"Without a network here, download {dataset.archive} from {dataset.page} elsewhere and run "
        f"`coronet data fetch {dataset.name} --from FILE`, or put into {folder}: {dataset.contents}."
    )


def _images_of_collection(folder: Path) -> list[Path]:
    rows = read_table(folder / "metadata.csv", ["filename"], remedy="Fetch the collection again.")
    return [folder / "images" / row["filename"] for row in rows if row.get("modality", "X-ray") == "X-ray"]


def _images_of_rsna(folder: Path) -> list[Path]:
    rows = read_table(folder / "stage_2_detailed_class_info.csv", ["patientid"], remedy="Fetch the challenge again.")
    read_table(folder / "stage_2_train_labels.csv", ["patientid", "target"], remedy="Fetch the challenge again.")
    return [folder / "stage_2_train_images" / f"{name}.dcm" for name in sorted({row["patientid"] for row in rows})]


def _images_of_covidx(folder: Path) -> list[Path]:
    return [folder / part / line.file for part in ("train", "test") for line in read_list(folder / f"{part}.txt")]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A public data set."""

    name: str
    """Its folder under data.root, as the presets call it."""
    page: str
    """Where a person finds it."""
    archive: str
    """What to download there by hand."""
    contents: str
    """What its folder holds in the end."""
    images: Callable[[Path], list[Path]]
    """Returns the images that its tables in a folder list."""
    kaggle: tuple[str, ...] = ()
    """Arguments of the Kaggle client; empty for what git fetches."""


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="covid-chestxray",
            page=COLLECTION,
            archive="the repository as a zip",
            contents="metadata.csv and images/",
            images=_images_of_collection,
        ),
        Dataset(
            name="rsna",
            page="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
            archive="rsna-pneumonia-detection-challenge.zip (its rules accepted)",
            contents="stage_2_detailed_class_info.csv, stage_2_train_labels.csv and stage_2_train_images/*.dcm",
            images=_images_of_rsna,
            kaggle=("competitions", "download", "-c", "rsna-pneumonia-detection-challenge"),
        ),
        Dataset(
            name="covidx",
            page="https://www.kaggle.com/datasets/andyczhao/covidx-cxr2",
            archive="the data set as a zip",
            contents="train.txt, test.txt, train/ and test/",
            images=_images_of_covidx,
            kaggle=("datasets", "download", "-d", "andyczhao/covidx-cxr2"),
        ),
    )
}
