"""The images that a model was made with: its split's manifest and, where they are, its pixels."""

import io
from dataclasses import dataclass
from typing import Self

import pandas as pd
import pyarrow.parquet as pq

from coronet_core.common.classes import SEEN_SPLITS
from coronet_core.common.manifest import IDS, SCHEMA, notes_of, read_manifest, read_notes, rows_of
from coronet_core.common.shards import Shards
from tasks.external_validation.tested_model import TestedModel
from tasks.package.recorded_files import content_of, files_of_folder
from tasks.runtime.paths import IMAGES, MANIFEST, SPLIT, SPLIT_STAGE
from tasks.runtime.tracking.provenance import dvc_hashes


@dataclass(frozen=True, kw_only=True)
class TrainingImages:
    """The accepted images of the split that a model was made with."""

    rows: pd.DataFrame
    """Of its manifest, indexed by position in the image stack."""
    named_by: str | None
    """Fingerprint of the ids of patients: ids can be compared only if it is the same."""
    stack: Shards | None
    """The pixels; None if they are not here."""

    @classmethod
    def of(cls, tested: TestedModel) -> Self | None:
        """Find the images that the model of `tested` was made with; None if nothing is recorded of them here.

        They are looked for in the project's own split, in DVC's cache and remote, and in MLflow.
        """
        md5 = tested.md5s.get(str(SPLIT))
        if md5 is not None and MANIFEST.is_file() and dvc_hashes(SPLIT_STAGE)["outs"].get(str(SPLIT)) == md5:
            return cls(
                rows=read_manifest(MANIFEST), named_by=read_notes(MANIFEST).get(IDS), stack=Shards.in_folder(IMAGES)
            )
        of_manifest = None if md5 is None else files_of_folder(md5).get(MANIFEST.name)
        content = None if of_manifest is None else content_of(MANIFEST, of_manifest)
        content = tested.in_mlflow(MANIFEST, SPLIT_STAGE) if content is None else content
        return None if content is None else cls.of_manifest(content)

    @classmethod
    def of_manifest(cls, content: bytes) -> Self:
        """Return the images of a manifest, given as the content of its file; columns that it lacks are empty."""
        table = pq.read_table(io.BytesIO(content))
        rows = rows_of(table).reindex(columns=SCHEMA.names)
        accepted = rows[rows["rejected_because"].isna()].sort_values(["shard", "row"], ignore_index=True)
        return cls(rows=accepted, named_by=notes_of(table.schema).get(IDS), stack=None)

    @property
    def seen(self) -> pd.DataFrame:
        """The images that determined the weights, the stopping epoch or the calibration."""
        return self.rows[self.rows["split"].isin(SEEN_SPLITS)]

    @property
    def tested(self) -> pd.DataFrame:
        """The images that the model was tested on."""
        return self.rows[self.rows["split"] == "test"]
