"""Reading all images of a data set into uint8 shards, in blocks that a killed run need not read again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from coronet_core.callbacks import ignore
from coronet_core.cores import usable_cores
from coronet_core.data.image import DecodedImage, decode
from coronet_core.data.manifest import pseudonym, read_rows, write_manifest
from coronet_core.data.record import Record
from coronet_core.errors import DataError
from coronet_core.shards import write_shard

Row = dict[str, Any]


def read_images(
    records: list[Record],
    image_size_px: int,
    shard_images: int,
    pseudonym_key: str,
    images: Path,
    blocks: Path,
    on_image: Callable[[int], object] = ignore,
) -> list[Row]:
    """Decode `records` and return their manifest rows, in order, without splits.

    Each `shard_images` records make one shard in the folder `images` and one block of rows in the folder `blocks`;
    a block that is there is taken as it is. Images that cannot be read become rows with `rejected_because`.
    """
    blocks.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    with ThreadPoolExecutor(usable_cores()) as pool:  # Pillow decodes and resizes without holding the interpreter
        for shard, start in enumerate(range(0, len(records), shard_images)):
            members = records[start : start + shard_images]
            block = blocks / f"block-{shard:05d}.parquet"
            if block.is_file():
                on_image(len(members))
            else:
                decoded = []
                for image in pool.map(lambda record: _decoded(record, image_size_px), members):
                    decoded.append(image)
                    on_image(1)
                _write_block(members, decoded, shard, pseudonym_key, images, block)
            rows += read_rows(block)
    return rows


def _decoded(record: Record, image_size_px: int) -> DecodedImage | str:
    """Return the image, or why it is rejected."""
    try:
        return decode(record.read(), image_size_px)
    except DataError as error:
        return str(error)
    except OSError as error:
        return f"cannot be opened ({error.strerror or error})"


def _write_block(
    members: list[Record],
    decoded: list[DecodedImage | str],
    shard: int,
    pseudonym_key: str,
    images: Path,
    block: Path,
) -> None:
    accepted: list[DecodedImage] = []
    rows = []
    for record, image in zip(members, decoded, strict=True):
        if isinstance(image, str):
            rows.append(_known(record, pseudonym_key) | {"rejected_because": image})
        else:
            rows.append(_known(record, pseudonym_key) | _seen(image) | {"shard": shard, "row": len(accepted)})
            accepted.append(image)
    if accepted:
        write_shard(images, shard, np.stack([image.pixels for image in accepted]))
    partial = block.with_suffix(".partial")  # the shard first: a block of rows says that its shard is whole
    write_manifest(rows, partial)
    partial.replace(block)


def _known(record: Record, pseudonym_key: str) -> Row:
    return {
        "image_id": record.image_id,
        "patient_id": pseudonym(record.patient_id, pseudonym_key),
        "label": record.label,
        "source": record.source,
        "view": record.view,
        "sex": record.sex,
        "age": record.age,
        "licence": record.licence,
        "opacity_boxes": [list(box) for box in record.opacity_boxes],
    }


def _seen(image: DecodedImage) -> Row:
    return {
        "sha256": image.sha256,
        "perceptual_hash": image.perceptual_hash,
        "width_px": image.width_px,
        "height_px": image.height_px,
    }
