"""The reports of the run that a version comes from, found by the digests in its package's lineage.

They are looked for where the stages write them, then in DVC's cache, then in its default remote. What is found has the
digest, so it cannot be another run's.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coronet_core.data.options import Aspect, Reading
from coronet_core.support.errors import DataError
from tasks.build_split.split_rules import IDS
from tasks.calibrate.cin_outputs import SplitPredictions
from tasks.evaluate.prediction_table import read_predictions
from tasks.package.metadata import read_description
from tasks.promotion.artifact_lookup import content_of, files_of_folder
from tasks.promotion.candidate import Candidate
from tasks.runtime.paths import AUDIT, MANIFEST, METRICS, PREDICTIONS, SPLIT, SPLIT_REPORT

SEEN = ("train", "validation")
"""Splits that decide the weights, or when training stopped and how answers are read."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is on record of the run that made a version."""

    version: int
    md5s: Mapping[str, str]
    """DVC's digests of what the run read and wrote, by path."""
    image_size_px: int
    """Of the images of its split; and how they became square."""
    aspect: Aspect
    reading: Reading = 1
    """By which rule they were read."""

    @classmethod
    def of_package(cls, version: int, folder: Path) -> Self:
        """Return the evidence for the package in `folder`."""
        described = read_description(folder)
        return cls(
            version=version,
            md5s=described.lineage.data,
            image_size_px=described.settings.image_size_px,
            aspect=described.settings.aspect,
            reading=described.settings.reading,
        )

    @property
    def split_md5(self) -> str:
        """DVC's digest of the split that the version was trained and tested on."""
        return self.md5s[str(SPLIT)]

    def candidate(self) -> Candidate:
        """Return figures and audits. Raises DataError if a report is nowhere to be found."""
        return Candidate.of_reports(self._report(METRICS), self._report(AUDIT), self._report(SPLIT_REPORT))

    def predictions(self) -> SplitPredictions | None:
        """Return what the version said of its test images; None if that is nowhere to be found."""
        content = self._content(PREDICTIONS)
        return None if content is None else read_predictions(io.BytesIO(content))

    def seen_patients(self) -> "SeenPatients | None":
        """Return whom the version was trained with; None if its manifest is nowhere to be found."""
        md5 = files_of_folder(self.split_md5).get(MANIFEST.name)
        content = None if md5 is None else content_of(MANIFEST, md5)
        return None if content is None else SeenPatients.of_manifest(content)

    def _report(self, path: Path) -> dict[str, Any]:
        content = self._content(path)
        if content is None:
            raise DataError(
                f"{path} of version {self.version} is neither here nor in DVC's cache or remote (md5 "
                f"{self.md5s.get(str(path))}). Promote it where it was made, push its results there with `dvc push`, "
                f"or make them again with `coronet reproduce {self.version}`."
            )
        report: dict[str, Any] = json.loads(content)
        return report

    def _content(self, path: Path) -> bytes | None:
        md5 = self.md5s.get(str(path))
        return None if md5 is None else content_of(path, md5)


@dataclass(frozen=True, kw_only=True)
class SeenPatients:
    """The patients of a version's training and validation splits, and their images."""

    ids: frozenset[str]
    """Of patients and, as a patient's may have been another, of images."""
    named_by: str | None
    """Fingerprint of how they are called: ids of another one are other names."""

    @classmethod
    def of_manifest(cls, content: bytes) -> Self:
        """Return those of a manifest, given as the content of its file."""
        table = pq.read_table(io.BytesIO(content), columns=["image_id", "patient_id", "split"])
        notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        seen = table.filter(pc.is_in(table["split"], pa.array(SEEN)))
        ids = frozenset(seen["patient_id"].to_pylist()) | frozenset(seen["image_id"].to_pylist())
        return cls(ids=ids, named_by=notes.get(IDS))
