"""The manifest: one row an image, rejected ones included. Whatever is known of an image is found here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from coronet_core.support.errors import DataError
from coronet_core.support.tables import read_schema, read_table, write_table

IDS: Final = "ids"
"""The note that names the key of the hashes, or says that ids are as given."""
SCHEMA: Final = pa.schema(
    [
        ("image_id", pa.string()),  # the source and a keyed hash of the image's name in it
        ("patient_id", pa.string()),  # a keyed hash
        ("patient_id_from", pa.string()),  # table, header; placeholder or none: the image is a patient of its own
        (
            "patient_id_zeroless",
            pa.string(),
        ),  # keyed hash of the id without leading zeros and capitals
        ("patient_group", pa.string()),  # patients that duplicate images connect: never in two splits
        ("label", pa.string()),
        ("split", pa.string()),  # null if rejected
        ("published_part", pa.string()),  # where a published list puts the image
        ("source", pa.string()),
        ("view", pa.string()),
        ("sex", pa.string()),
        ("age", pa.float64()),  # years
        ("licence", pa.string()),
        ("sha256", pa.string()),  # of the encoded bytes
        ("pixel_sha256", pa.string()),  # of the pixels in the shard
        ("perceptual_hash", pa.string()),  # pHash, 64 bits in hexadecimal
        ("duplicate_of", pa.string()),  # image_id of the first listed image that shows the same
        ("duplicate_kind", pa.string()),  # bytes, pixels, near
        ("size_bytes", pa.int64()),  # as stored in the source
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
        ("opacity_boxes", pa.list_(pa.list_(pa.float64(), 4))),  # left, top, right, bottom as fractions
        ("shard", pa.int32()),  # null if rejected
        ("row", pa.int32()),  # within the shard
        ("rejected_because", pa.string()),
        ("grey_levels", pa.int32()),  # as read; null by the first reading rule
        ("reading_notes", pa.string()),  # of radiograph.py, joined by "; "; null if there are none
    ]
)
UNKNOWN: Final = "unknown"
AGE_GROUPS: Final = {"0-17": 18, "18-39": 40, "40-59": 60, "60-79": 80, "80 and over": 200}
"""Name of each group and the age, in years, below which it ends."""


def as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return `rows` as pandas has them, see `as_arrow`."""
    return rows_of(as_arrow(rows))


def as_arrow(rows: list[dict[str, Any]]) -> pa.Table:
    """Return `rows` as a table of the columns of `SCHEMA`; a column that is not in it is an error."""
    unknown = {key for row in rows for key in row} - set(SCHEMA.names)
    if unknown:
        raise ValueError(f"not columns of the manifest: {sorted(unknown)}")
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write_manifest(manifest: pd.DataFrame, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write `manifest` by `SCHEMA`, with `notes` on how it was made."""
    table = pa.Table.from_pandas(manifest, schema=SCHEMA, preserve_index=False)
    write_table(table.replace_schema_metadata(dict(notes or {})), path)


def read_notes(path: Path) -> dict[str, str]:
    """Return the notes that were written with a manifest. Raises DamagedFileError if it is missing or damaged."""
    return notes_of(read_schema(path, _remedy(path)))


def notes_of(schema: pa.Schema) -> dict[str, str]:
    """Return the notes that a manifest's schema holds."""
    return {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}


def read_rows(path: Path) -> pd.DataFrame:
    """Read all rows of a manifest, rejected ones included, in the order in which they were written.

    Raises DamagedFileError if it is missing or damaged.
    """
    return rows_of(read_table(path, SCHEMA, _remedy(path)))


def _remedy(path: Path) -> str:
    folder = path.parent
    return f"Delete it and run `dvc checkout {folder}` or, to split all patients again, delete {folder}."


def read_manifest(path: Path) -> pd.DataFrame:
    """Read the accepted images of a manifest, in shard and row order, indexed by their place in the image stack."""
    if not path.is_file():
        raise DataError(f"{path}: no manifest. Run the stage build_split first (`coronet run` or `dvc repro`).")
    manifest = read_rows(path)
    accepted = manifest[manifest["rejected_because"].isna()]
    return accepted.sort_values(["shard", "row"], ignore_index=True)


def rows_of(table: pa.Table) -> pd.DataFrame:
    """Return the rows of a manifest, whole numbers whole where some are missing: pandas would make floats of them."""
    whole = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=whole.get)
    return frame


def groupings(images: pd.DataFrame) -> dict[str, "pd.Series[str]"]:
    """Return the group of each row of `images` by its source, its view, its sex and its age group."""
    values = {name: images[name] for name in ("source", "view", "sex")} | {"age_group": _age_groups(images["age"])}
    return {name: column.fillna(UNKNOWN).astype(str) for name, column in values.items()}


def _age_groups(ages: "pd.Series[float]") -> "pd.Series[str]":
    edges = [0, *AGE_GROUPS.values()]
    groups = pd.cut(ages, edges, right=False, labels=list(AGE_GROUPS))
    return groups.astype(object)
