"""Reading all images of a data set into uint8 shards, in blocks that a killed run need not read again.

A block is a shard and, written behind it, a sealed file of its rows, which knows the shard's checksum.
"""

import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from coronet_core.common.cpu_count import usable_cores
from coronet_core.common.literals import Aspect, Reading
from coronet_core.common.manifest import as_arrow, as_table, notes_of, rows_of
from coronet_core.common.shards import Shards, shard_path, write_shard
from coronet_core.data.image_record import Record
from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from coronet_core.data.patients.pseudonyms import Ids
from coronet_core.data.reading.image import DecodedImage, box_in_square
from coronet_core.data.splitting.duplicates import perceptual_hash
from coronet_core.support.callbacks import noop
from coronet_core.support.errors import DamagedFileError, DataError
from coronet_core.support.whole_files import read_sealed, sha256_of, write_sealed

READERS_PER_CORE = 2
"""Threads that read files: one waits for a decoder, the other reads the next file."""
IN_FLIGHT_PER_CORE = 4
"""Images that wait decoded for those before them; bounds memory whatever the length of a block."""
ROWS = "*.rows"
"""Files of rows, sealed Parquet: `<number>-<digest of all that decides the block>.rows`."""
SHARD = "shard"
"""Note of a block's rows: the SHA-256 of its shard."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How the bytes of an image are processed."""

    image_size_px: int
    aspect: Aspect
    reading: Reading


def read_images(
    records: list[Record],
    preprocessing: Preprocessing,
    block_images: int,
    ids: Ids,
    images: Path,
    blocks: Path,
    on_image: Callable[[int], object] = noop,
) -> pd.DataFrame:
    """Decode `records` and return their manifest rows, in order, without splits.

    Each `block_images` records make one shard in the folder `images` and one block of rows in the folder `blocks`; a
    block of the same records, unchanged, that is there is taken as it is. Images that cannot be read become rows with
    `rejected_because`.
    """
    blocks.mkdir(parents=True, exist_ok=True)
    read: dict[Path, pa.Table] = {}
    with Decoders() as decoders, ThreadPoolExecutor(READERS_PER_CORE * usable_cores()) as pool:
        for number, start in enumerate(range(0, len(records), block_images)):
            members = records[start : start + block_images]
            block = blocks / f"{number:05d}-{_digest(members, preprocessing, ids)}.rows"
            if block.is_file():
                on_image(len(members))
                read[block] = _read(block)
            else:
                forget_block(number, images, blocks)
                decoded = _decoded_in_order(pool, members, partial(_decoded, decoders, preprocessing))
                read[block] = _write_block(members, decoded, number, preprocessing, ids, images, block, on_image)
    for block in set(blocks.glob(ROWS)) - read.keys():
        forget_block(_number(block), images, blocks)
    return rows_of(pa.concat_tables(table.replace_schema_metadata(None) for table in read.values()))


def forget_block(number: int, images: Path, blocks: Path) -> None:
    """Delete what was read as block `number`."""
    for path in (*blocks.glob(f"{number:05d}-*"), shard_path(images, number)):
        path.unlink(missing_ok=True)


def forget_rejects(images: Path, blocks: Path) -> None:
    """Delete the blocks with images that could not be read: once repaired, they must be read again."""
    for block in blocks.glob(ROWS):
        if rows_of(_read(block))["rejected_because"].notna().any():
            forget_block(_number(block), images, blocks)


def damaged_files(images: Path, blocks: Path) -> list[Path]:
    """Return the files of blocks that are not as they were written. Rows without their shard are deleted."""
    damaged = []
    for block in sorted(blocks.glob(ROWS)):
        shard = shard_path(images, _number(block))
        try:
            expected = notes_of(_read(block).schema).get(SHARD)
        except DamagedFileError:
            damaged.append(block)
            continue
        if expected is not None and not (shard.is_file() and sha256_of(shard) == expected):
            damaged += [shard] if shard.is_file() else []
            block.unlink()
    return damaged


def _number(block: Path) -> int:
    return int(block.name[:5])


def _read(block: Path) -> pa.Table:
    return pq.read_table(pa.BufferReader(read_sealed(block)))


def _digest(records: list[Record], preprocessing: Preprocessing, ids: Ids) -> str:
    """Return the digest of all that decides a block."""
    known = [[getattr(record, field.name) for field in fields(record) if field.name != "read"] for record in records]
    return hashlib.sha256(repr((preprocessing, ids, known)).encode()).hexdigest()[:16]


def places_in_stack(manifest: pd.DataFrame) -> NDArray[np.int64]:
    """Return the row of the decoded stack that holds each image of a manifest just read; -1 if it could not be read."""
    is_read = manifest["rejected_because"].isna().to_numpy()
    return np.where(is_read, np.cumsum(is_read) - 1, -1)


def write_accepted(
    manifest: pd.DataFrame, places: NDArray[np.int64], decoded: Shards, shard_images: int, images: Path
) -> None:
    """Write the accepted images of `manifest` as the shards of the folder `images`, and fill `shard` and `row`."""
    shutil.rmtree(images, ignore_errors=True)  # what a killed run has left
    accepted = np.flatnonzero(manifest["rejected_because"].isna())
    manifest[["shard", "row"]] = pd.NA
    for shard, start in enumerate(range(0, len(accepted), shard_images)):
        members = accepted[start : start + shard_images]
        write_shard(images, shard, decoded.take(places[members]))
        manifest.loc[manifest.index[members], "shard"] = shard
        manifest.loc[manifest.index[members], "row"] = np.arange(len(members))


def join_headers(manifest: pd.DataFrame, records: list[Record], ids: Ids) -> None:
    """Give patients whom headers name the id by which a source names them too, in place.

    Whom only headers name keep the ids that they have had since there were headers.
    """
    named = ids.of_headers({record.patient_id for record in records if record.patient_id is not None})
    manifest["patient_id"] = manifest["patient_id"].map(lambda patient: named.get(patient, patient))


def group_oldest(manifest: pd.DataFrame, oldest_age_years: int | None) -> None:
    """Write ages above `oldest_age_years` as the year after it, in place: the oldest are few and easily recognised."""
    if oldest_age_years is not None:
        manifest.loc[manifest["age"] > oldest_age_years, "age"] = float(oldest_age_years + 1)


def known_rows(records: list[Record], ids: Ids) -> pd.DataFrame:
    """Return the manifest rows of `records` that are not read: what their labels say."""
    return as_table([_known(record, ids) for record in records])


def _decoded_in_order(
    pool: ThreadPoolExecutor, records: list[Record], decoded: Callable[[Record], DecodedImage | str]
) -> Iterator[DecodedImage | str]:
    """Yield each image, or why it is rejected; a few at a time are being decoded."""
    waiting: deque[Future[DecodedImage | str]] = deque()
    coming = iter(records)
    for record in islice(coming, IN_FLIGHT_PER_CORE * usable_cores()):
        waiting.append(pool.submit(decoded, record))
    while waiting:
        yield waiting.popleft().result()
        for record in islice(coming, 1):
            waiting.append(pool.submit(decoded, record))


def _decoded(decoders: Decoders, preprocessing: Preprocessing, record: Record) -> DecodedImage | str:
    side_px, aspect, reading = preprocessing.image_size_px, preprocessing.aspect, preprocessing.reading
    try:
        return decoders.decode(record.read(), side_px, aspect, reading)
    except DataError as error:
        return str(error)
    except OSError as error:
        return f"cannot be opened ({error.strerror or type(error).__name__})"


def _write_block(
    members: list[Record],
    decoded: Iterator[DecodedImage | str],
    shard: int,
    preprocessing: Preprocessing,
    ids: Ids,
    images: Path,
    block: Path,
    on_image: Callable[[int], object],
) -> pa.Table:
    side_px = preprocessing.image_size_px
    stack = np.empty((len(members), side_px, side_px), dtype=np.uint8)
    rows, n_accepted = [], 0
    for record, image in zip(members, decoded, strict=True):
        row = _known(record, ids)
        if isinstance(image, str):
            row |= {"rejected_because": image}
        else:
            stack[n_accepted] = image.pixels
            row |= _seen(image, record, ids, preprocessing)
            n_accepted += 1
        rows.append(row)
        on_image(1)
    # Neither is flushed: both are checked before they are taken again, and what is made of them is flushed.
    notes = {SHARD: sha256_of(write_shard(images, shard, stack[:n_accepted], durable=False))} if n_accepted else {}
    content = pa.BufferOutputStream()
    table = as_arrow(rows)
    pq.write_table(table.replace_schema_metadata(notes), content)
    write_sealed(block, content.getvalue().to_pybytes(), durable=False)  # behind the shard: it knows its checksum
    return table


def _known(record: Record, ids: Ids) -> dict[str, object]:
    return {
        "image_id": ids.image(record),
        **ids.patient_columns(record),
        "label": record.label,
        "published_part": record.published_part,
        "source": record.source,
        "view": record.view,
        "sex": record.sex,
        "age": record.age,
        "licence": record.licence,
        "opacity_boxes": [list(box) for box in record.opacity_boxes],
    }


def _seen(image: DecodedImage, record: Record, ids: Ids, preprocessing: Preprocessing) -> dict[str, object]:
    facts = image.facts
    width_px, height_px = facts.width_px, facts.height_px
    return {
        **ids.patient_columns(record, facts.patient_id),
        "view": record.view or facts.view,
        "sex": record.sex or facts.sex,
        "age": facts.age if record.age is None else record.age,
        "sha256": image.sha256,
        "pixel_sha256": image.pixel_sha256,
        "perceptual_hash": perceptual_hash(image.pixels),
        "size_bytes": image.size_bytes,
        "width_px": width_px,
        "height_px": height_px,
        "opacity_boxes": [
            list(box_in_square(box, width_px, height_px, preprocessing.aspect)) for box in record.opacity_boxes
        ],
        "grey_levels": None if preprocessing.reading == 1 else image.grey_levels,
        "reading_notes": "; ".join(facts.notes) or None,
    }
