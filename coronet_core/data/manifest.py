"""The manifest: one row an image, rejected ones included. Whatever is known of an image is found here."""

from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from coronet_core.errors import DataError

SCHEMA: Final = pa.schema(
    [
        ("image_id", pa.string()),  # the source and a keyed hash of the image's name in it
        ("patient_id", pa.string()),  # a keyed hash
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
    ]
)
SPLIT_RULE: Final = b"split_rule"


def as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return `rows` as a table of the columns of `SCHEMA`; a column that is not in it is an error."""
    unknown = {key for row in rows for key in row} - set(SCHEMA.names)
    if unknown:
        raise ValueError(f"not columns of the manifest: {sorted(unknown)}")
    return _to_pandas(pa.Table.from_pylist(rows, schema=SCHEMA))


def write_manifest(manifest: pd.DataFrame, path: Path, split_rule: str = "") -> None:
    """Write `manifest` by `SCHEMA`, with the rule by which it is split: a digest, or nothing."""
    table = pa.Table.from_pandas(manifest, schema=SCHEMA, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({SPLIT_RULE: split_rule}), path)


def previous_splits(path: Path, split_rule: str) -> pd.DataFrame:
    """Return `patient_id` and `split` of the patients in an earlier manifest; none if it follows another rule."""
    columns = ["patient_id", "split"]
    if not path.is_file() or (pq.read_schema(path).metadata or {}).get(SPLIT_RULE) != split_rule.encode():
        return pd.DataFrame(columns=columns, dtype=str)
    rows: pd.DataFrame = pq.read_table(path, columns=columns).to_pandas()
    return rows.dropna().drop_duplicates()


def read_rows(path: Path) -> pd.DataFrame:
    """Read all rows of a manifest, rejected ones included, in the order in which they were written."""
    return _to_pandas(pq.read_table(path, schema=SCHEMA))


def read_manifest(path: Path) -> pd.DataFrame:
    """Read the accepted images of a manifest, in shard and row order, indexed by their place in the image stack."""
    if not path.is_file():
        raise DataError(f"{path}: no manifest. Run the stage build_split first (`coronet run` or `dvc repro`).")
    manifest = read_rows(path)
    accepted = manifest[manifest["rejected_because"].isna()]
    return accepted.sort_values(["shard", "row"], ignore_index=True)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Keep whole numbers whole where some are missing: pandas would make floats of them."""
    whole = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=whole.get)
    return frame
