"""Speed and memory of reading a data set: `python -m benchmarks.ingest [--images 192] [--rounds 5] [--memory 1000]`.

Speed, in turns in one run, for each kind of file: our path (decode, refuse, hash, shard), the same with images decoded
by this process's threads instead of processes with limits, and a plain loop (open, grey, resize, keep). Memory: the
largest anonymous memory of a process that reads N images, finds their duplicates, writes their shards and audits them.
Two tables, and `benchmarks/ingest.json`.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import psutil
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate

from coronet_core.common.classes import CLASSES
from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.literals import Aspect
from coronet_core.common.shards import Shards
from coronet_core.data.dataset_audit import audit, findings
from coronet_core.data.image_record import Listing, Record
from coronet_core.data.ingest import Preprocessing, places_in_stack, read_images, write_accepted
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.reading.image import decode
from coronet_core.data.sources import phantom
from coronet_core.data.splitting.duplicates import mark_duplicates

SIDE_PX = 224
BLOCK_IMAGES = 512
SPEED_SIDE_PX = 1024
DISTINCT = 24
MEMORY_IMAGES = (1_000, 4_000, 16_000)
CLOCK, CPU = range(2)
MEMORY_SIDE_PX = 256
SAMPLE_S = 0.02
RESULTS = Path(__file__).with_name("ingest.json")


def chests(n: int, side_px: int) -> list[NDArray[np.uint8]]:
    """Draw `n` phantoms of `side_px` squared."""
    return [phantom.draw(9, "healthy", f"benchmark-{i}", 0, side_px)[0] for i in range(n)]


def encoded(pixels: NDArray[np.uint8], kind: str) -> bytes:
    """Encode an image as PNG, JPEG, or as a DICOM that holds the JPEG, as RSNA's are."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG" if kind == "PNG" else "JPEG", quality=92)
    return dicom(buffer.getvalue(), pixels.shape) if kind == "DICOM" else buffer.getvalue()


def dicom(jpeg: bytes, shape: tuple[int, ...]) -> bytes:
    """Wrap a JPEG as RSNA's files are."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    meta.MediaStorageSOPClassUID = pydicom.uid.ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.Rows, header.Columns = shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation = 7, 0
    header.PixelData = encapsulate([jpeg])
    header["PixelData"].VR = "OB"
    buffer = BytesIO()
    header.save_as(buffer)
    return buffer.getvalue()


def plain_loop(files: list[Path], side_px: int = SIDE_PX) -> NDArray[np.uint8]:
    """What a script does: open, grey, resize, keep; one after the other."""
    images = []
    for file in files:
        if file.suffix == ".dcm":
            image = Image.fromarray(pydicom.dcmread(file).pixel_array)
        else:
            image = Image.open(file).convert("L")
        images.append(np.asarray(image.resize((side_px, side_px), Image.Resampling.BILINEAR)))
    return np.stack(images)


def records_of(files: list[Path]) -> list[Record]:
    """List files as a source would."""
    return [
        Record(
            source="benchmark",
            name=f"{number}/{file.name}",
            patient_id=str(number),
            label=CLASSES[number % len(CLASSES)],
            read=partial(file.read_bytes),
            version="",
        )
        for number, file in enumerate(files)
    ]


def preprocessing(side_px: int) -> Preprocessing:
    """Return how images of `side_px` are read today."""
    return Preprocessing(image_size_px=side_px, aspect=Aspect.STRETCH, reading=2)


def read_as_the_stage(files: list[Path], side_px: int, folder: Path) -> None:
    """Read `files` as the stage does, into `folder`."""
    read_images(
        records_of(files), preprocessing(side_px), BLOCK_IMAGES, Ids("key"), folder / "decoded", folder / "blocks"
    )


def our_path(files: list[Path], folder: Path) -> None:
    """Read `files` as the stage does, and delete what comes of it.

    Its decoding processes import this program no more than they do `python -m tasks`.
    """
    with patch.multiple(sys.modules["__main__"], __spec__=None, __file__=None):
        read_as_the_stage(files, SIDE_PX, folder)
    shutil.rmtree(folder)


def our_path_in_threads(files: list[Path], folder: Path) -> None:
    """Do the same with images decoded in this process, without limits."""
    with patch("coronet_core.data.ingest.Decoders", lambda: nullcontext(SimpleNamespace(decode=decode))):
        our_path(files, folder)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of all that it has started, with those that have ended."""
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in (here, *here.children(recursive=True)))


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """Return how long `action` takes, by the clock and of the CPU."""
    begin, cpu = time.perf_counter(), cpu_seconds()
    action()
    return time.perf_counter() - begin, cpu_seconds() - cpu


def ratio(times: dict[str, list[tuple[float, float]]], way: str, other: str, which: int) -> float:
    """Return the median over the rounds of `way`'s seconds to `other`'s."""
    return statistics.median(a[which] / b[which] for a, b in zip(times[way], times[other], strict=True))


def speed(folder: Path, n_images: int, rounds: int) -> list[dict[str, float | str]]:
    """Measure all ways in turns, for each kind of file; medians over rounds."""
    results: list[dict[str, float | str]] = []
    drawn = chests(DISTINCT, SPEED_SIDE_PX)
    for kind, suffix in (("DICOM", ".dcm"), ("PNG", ".png"), ("JPEG", ".jpg")):
        files = [folder / f"{number}{suffix}" for number in range(DISTINCT)]
        for file, pixels in zip(files, drawn, strict=True):
            file.write_bytes(encoded(pixels, kind))
        many = (files * (n_images // DISTINCT + 1))[:n_images]
        ways: dict[str, Callable[[], object]] = {
            "plain": partial(plain_loop, many),
            "threads": partial(our_path_in_threads, many, folder / "work"),
            "ours": partial(our_path, many, folder / "work"),
        }
        our_path(files, folder / "work")  # begins the server that forks the processes
        times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, action in ways.items():
                times[way].append(seconds(action))
        rate = n_images / statistics.median(clock for clock, _ in times["ours"])
        times_as_fast = ratio(times, "plain", "ours", CLOCK)
        results.append(
            {
                "files": f"{kind}, {SPEED_SIDE_PX} px",
                "plain_images_per_s": n_images / statistics.median(clock for clock, _ in times["plain"]),
                "images_per_s": rate,
                "images_per_s_per_core": rate / usable_cores(),
                "times_as_fast": times_as_fast,
                "times_as_fast_per_core": times_as_fast / usable_cores(),
                "processes_to_threads_clock": ratio(times, "ours", "threads", CLOCK),
                "processes_to_threads_cpu": ratio(times, "ours", "threads", CPU),
            }
        )
    return results


def anonymous_memory_mb() -> float:
    """Return the memory of this process that no file backs, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("RssAnon:")[1].split()[0]) / 1024


def whole_path_memory(folder: Path, n_images: int) -> dict[str, float]:
    """Read, find duplicates, write shards and audit; returns this process's memory before and at most."""
    before, largest, done = anonymous_memory_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_S):
            largest[0] = max(largest[0], anonymous_memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    files = sorted(folder.glob("*.jpg"))[:n_images]
    work = folder / f"work-{n_images}"
    begin = time.perf_counter()
    manifest = read_images(
        records_of(files), preprocessing(SIDE_PX), BLOCK_IMAGES, Ids("key"), work / "decoded", work / "blocks"
    )
    stack, places = Shards.in_folder(work / "decoded"), places_in_stack(manifest)
    mark_duplicates(manifest, lambda positions: stack.take(places[positions]))
    write_accepted(manifest, places, stack, BLOCK_IMAGES, work / "images")
    manifest["split"] = "train"
    audit(manifest, findings(manifest), Listing(records=[]), Shards.in_folder(work / "images"), seed=1)
    took = time.perf_counter() - begin
    done.set()
    watcher.join()
    shutil.rmtree(work)
    return {"images": n_images, "before_mb": before, "largest_mb": largest[0], "ms_per_image": 1000 * took / n_images}


def memory(folder: Path, numbers: list[int]) -> list[dict[str, float]]:
    """Measure each number of distinct images in a fresh process."""
    rng = np.random.default_rng(0)
    base = [chest.astype(np.int16) for chest in chests(40, MEMORY_SIDE_PX)]
    for number in range(max(numbers, default=0)):
        first, second = rng.choice(len(base), 2, replace=False)
        shift = rng.integers(-40, 40, size=2)
        mixed = (base[first] + np.roll(base[second], shift, (0, 1))) // 2
        Image.fromarray(mixed.astype(np.uint8)).save(folder / f"{number:06d}.jpg", quality=80)
    results = []
    for n_images in numbers:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            results.append(process.submit(whole_path_memory, folder, n_images).result())
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description="Speed and memory of reading.")
    parser.add_argument("--images", type=int, default=192, help="of each kind, in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", default=MEMORY_IMAGES, metavar="IMAGES", help="none: skipped")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "speed").mkdir()
        (Path(folder) / "memory").mkdir()
        results = {
            "cores": usable_cores(),
            "load_average": os.getloadavg(),
            "speed": speed(Path(folder) / "speed", options.images, options.rounds),
            "memory": memory(Path(folder) / "memory", options.memory),
        }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    for name in ("speed", "memory"):
        rows = results[name]
        print("\n" + "  ".join(rows[0] if rows else ()))
        for row in rows:
            print("  ".join(value if isinstance(value, str) else f"{value:.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
