"""The manifest: one row an image, rejected ones included. Whatever is known of an image is found here."""

import hashlib
import hmac
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from coronet_core.errors import DataError

SCHEMA: Final = pa.schema(
    [
        ("image_id", pa.string()),
        ("patient_id", pa.string()),  # a pseudonym
        ("label", pa.string()),
        ("split", pa.string()),  # null if rejected
        ("source", pa.string()),
        ("view", pa.string()),
        ("sex", pa.string()),
        ("age", pa.float64()),  # years
        ("licence", pa.string()),
        ("sha256", pa.string()),  # of the encoded bytes
        ("perceptual_hash", pa.string()),
        ("width_px", pa.int32()),  # as stored in the source
        ("height_px", pa.int32()),
        ("opacity_boxes", pa.list_(pa.list_(pa.float64(), 4))),  # left, top, right, bottom as fractions
        ("shard", pa.int32()),  # null if rejected
        ("row", pa.int32()),  # within the shard
        ("rejected_because", pa.string()),
    ]
)


def pseudonym(patient_id: str, key: str) -> str:
    """Return a pseudonym of `patient_id`: the same under the same key. Who has the key can recompute it from the id."""
    return hmac.new(key.encode(), patient_id.encode(), hashlib.sha256).hexdigest()[:16]


def write_manifest(rows: list[dict[str, Any]], path: Path) -> None:
    """Write `rows` by `SCHEMA`; a column that is not in it is an error."""
    unknown = {key for row in rows for key in row} - set(SCHEMA.names)
    if unknown:
        raise ValueError(f"not columns of the manifest: {sorted(unknown)}")
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read all rows of a manifest, rejected ones included, in the order in which they were written."""
    rows: list[dict[str, Any]] = pq.read_table(path, schema=SCHEMA).to_pylist()
    return rows


def read_manifest(path: Path) -> pd.DataFrame:
    """Read the accepted images of a manifest, in shard and row order, indexed by their place in the image stack."""
    if not path.is_file():
        raise DataError(f"{path}: no manifest. Run the stage build_split first (`coronet run` or `dvc repro`).")
    manifest: pd.DataFrame = pq.read_table(path, schema=SCHEMA).to_pandas()
    accepted = manifest[manifest["rejected_because"].isna()]
    return accepted.sort_values(["shard", "row"], ignore_index=True)
