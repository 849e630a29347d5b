"""Fetching public data sets: `coronet data fetch`. What was fetched is checked; offline, it says what to put where.

Downloads lie in `.coronet/fetch` until they are whole. An interrupted fetch goes on: git and the Kaggle client keep
what they have, and unpacked files are not unpacked again.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coronet_core.data.sources.covidx_lists import read_list
from coronet_core.data.sources.image_folder import IMAGE_SUFFIXES
from coronet_core.data.sources.tables import read_table
from coronet_core.errors import DataError
from tasks.paths import STATE
from tasks.progress import say
from tasks.unpack import unpack

DOWNLOADS = STATE / "fetch"
COLLECTION = "https://github.com/ieee8023/covid-chestxray-dataset"
MAX_MISSING_FRACTION = 0.01
"""Collections list a few images that they do not hold."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A public data set."""

    name: str
    """Its folder under data.root, as the presets call it."""
    page: str
    """Where a person finds it."""
    archive: str
    """What to download there by hand."""
    kaggle: tuple[str, ...] = ()
    """Arguments of the Kaggle client; empty for what git fetches."""


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset(name="covid-chestxray", page=COLLECTION, archive="the repository as a zip"),
        Dataset(
            name="rsna",
            page="https://www.kaggle.com/c/rsna-pneumonia-detection-challenge",
            archive="rsna-pneumonia-detection-challenge.zip (rules to be accepted there first)",
            kaggle=("competitions", "download", "-c", "rsna-pneumonia-detection-challenge"),
        ),
        Dataset(
            name="covidx",
            page="https://www.kaggle.com/datasets/andyczhao/covidx-cxr2",
            archive="the data set as a zip",
            kaggle=("datasets", "download", "-d", "andyczhao/covidx-cxr2"),
        ),
    )
}


def fetch(name: str, root: Path, archive: Path | None, as_of: str | None, url: str = COLLECTION) -> None:
    """Fetch data set `name` into the folder `root`/`name`, or unpack it from `archive`, and check it.

    `as_of` is a day (2020-03-29) whose state of the covid-chestxray collection is wanted. Raises DataError when it
    cannot be fetched or is not whole.
    """
    dataset, folder = DATASETS[name], root / name
    if as_of is not None and (dataset.kaggle or archive is not None):
        raise DataError(f"{name}: only what git fetches has a state of {as_of}. Leave --as-of away.")
    if archive is not None:
        unpack(archive, folder, _place)
    elif dataset.kaggle:
        downloaded = _download(dataset, folder)
        unpack(downloaded, folder, _place)
        shutil.rmtree(downloaded.parent)
    else:
        _checkout(dataset, folder, as_of, url)
    say(f"{name}: {CHECKS[name](folder)} images in {folder}")


def _place(member: PurePosixPath) -> PurePosixPath | None:
    """Return where a member of an archive belongs: images in the folder they have, tables and lists beside them."""
    if member.is_absolute() or ".." in member.parts:
        return None
    if member.suffix.lower() in IMAGE_SUFFIXES and len(member.parts) > 1:
        return PurePosixPath(*member.parts[-2:])
    return PurePosixPath(member.name) if member.suffix in {".csv", ".txt"} else None


def _download(dataset: Dataset, folder: Path) -> Path:
    client = shutil.which("kaggle", path=str(Path(sys.executable).parent)) or shutil.which("kaggle")
    if client is None:
        raise DataError(
            f"{dataset.name}: the Kaggle client is missing: pip install 'coronet[fetch]'. {_by_hand(dataset, folder)}"
        )
    target = DOWNLOADS / dataset.name
    target.mkdir(parents=True, exist_ok=True)
    _run([client, *dataset.kaggle, "-p", str(target)], dataset, folder)
    archives = sorted(target.glob("*.zip"))
    if not archives:
        raise DataError(f"{dataset.name}: the Kaggle client left no archive in {target}. {_by_hand(dataset, folder)}")
    return archives[0]


def _checkout(dataset: Dataset, folder: Path, as_of: str | None, url: str) -> None:
    clone = DOWNLOADS / dataset.name
    if not (clone / ".git" / "HEAD").is_file():
        shutil.rmtree(clone, ignore_errors=True)
        _run(["git", "clone", "--filter=blob:none", "--no-checkout", url, str(clone)], dataset, folder)
    else:
        _run(["git", "-C", str(clone), "fetch", "origin"], dataset, folder)
    revision = "origin/HEAD"
    if as_of is not None:
        last = ["git", "-C", str(clone), "rev-list", "-1", f"--before={as_of} 23:59:59 +0000", revision]
        revision = subprocess.run(last, check=True, capture_output=True, text=True).stdout.strip()
        if not revision:
            raise DataError(f"{dataset.name}: the collection is younger than {as_of}. Choose a later day.")
    _run(["git", "-C", str(clone), "checkout", "--force", "--detach", revision], dataset, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("images", "metadata.csv"):
        source, target = clone / name, folder / name
        if target.is_dir():
            shutil.rmtree(target)
        source.replace(target)  # git checks it out again when it is fetched once more


def _run(command: list[str], dataset: Dataset, folder: Path) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        lines = (finished.stderr + finished.stdout).strip().splitlines()
        reason = lines[-1].strip() if lines else f"exit code {finished.returncode}"
        raise DataError(f"{dataset.name}: cannot be fetched ({reason}). {_by_hand(dataset, folder)}")


def _by_hand(dataset: Dataset, folder: Path) -> str:
    return (
        f"Without a network here, download {dataset.archive} from {dataset.page} elsewhere and run "
        f"`coronet data fetch {dataset.name} --from FILE`, or put into {folder}: {CONTENTS[dataset.name]}."
    )


def _check_collection(folder: Path) -> int:
    rows = read_table(folder / "metadata.csv", ["filename"], remedy="Fetch the collection again.")
    wanted = [row["filename"] for row in rows if row.get("modality", "X-ray") == "X-ray"]
    return _present([folder / "images" / name for name in wanted], folder)


def _check_rsna(folder: Path) -> int:
    rows = read_table(folder / "stage_2_detailed_class_info.csv", ["patientid"], remedy="Fetch the challenge again.")
    read_table(folder / "stage_2_train_labels.csv", ["patientid", "target"], remedy="Fetch the challenge again.")
    names = sorted({row["patientid"] for row in rows})
    return _present([folder / "stage_2_train_images" / f"{name}.dcm" for name in names], folder)


def _check_covidx(folder: Path) -> int:
    parts = ("train", "test")
    return _present([folder / part / line.file for part in parts for line in read_list(folder / f"{part}.txt")], folder)


def _present(files: list[Path], folder: Path) -> int:
    missing = [file for file in files if not file.is_file()]
    if len(missing) > MAX_MISSING_FRACTION * len(files):
        raise DataError(
            f"{folder}: {len(missing)} of {len(files)} listed images are missing, such as {missing[0].name}. Run the "
            "same command again: it goes on with what is missing."
        )
    return len(files) - len(missing)


CHECKS = {"covid-chestxray": _check_collection, "rsna": _check_rsna, "covidx": _check_covidx}
CONTENTS = {
    "covid-chestxray": "metadata.csv and images/",
    "rsna": "stage_2_detailed_class_info.csv, stage_2_train_labels.csv and stage_2_train_images/*.dcm",
    "covidx": "train.txt, test.txt, train/ and test/",
}
