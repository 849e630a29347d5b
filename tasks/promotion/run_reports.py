"""Reports, predictions and manifest of a version's run, found by their DVC digests."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from coronet_core.common.classes import CLASSES, SEEN_SPLITS, ClassName
from coronet_core.common.literals import Aspect, Reading
from coronet_core.common.manifest import IDS
from coronet_core.support.errors import DataError
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.evaluate.prediction_table import read_predictions
from tasks.package.metadata import read_description
from tasks.package.recorded_files import content_of, files_of_folder
from tasks.runtime.files import json_object
from tasks.runtime.paths import AUDIT, MANIFEST, METRICS, PREDICTIONS, SPLIT, SPLIT_REPORT


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Sensitivity for one class on the test split."""

    share: float | None
    """None without images of the class."""
    low: float | None
    """Lower end of its interval."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Figures and audits of one version on its own test split."""

    sensitivity: Mapping[ClassName, Sensitivity]
    calibration_error: float
    """ECE of the calibrated probabilities."""
    patients_in_two_splits: int
    audit_findings: tuple[str, ...]
    """Findings of the shortcut audit as sentences; empty if it is passed."""

    @classmethod
    def of_reports(cls, metrics: Mapping[str, Any], audit: Mapping[str, Any], split: Mapping[str, Any]) -> Self:
        """Return the candidate from `metrics.json`, `audit.json` and `split.json` of one run."""
        return cls(
            sensitivity={label: _sensitivity(metrics, label) for label in CLASSES},
            calibration_error=metrics["calibration"]["after"]["ece"],
            patients_in_two_splits=split["patients_in_two_splits"],
            audit_findings=tuple(audit["verdict"]["findings"]),
        )


def _sensitivity(metrics: Mapping[str, Any], label: ClassName) -> Sensitivity:
    """Take the lower of two limits: the bootstrap shows no uncertainty if every image is classified correctly."""
    share = metrics["sensitivity"][label]
    intervals = (metrics["sensitivity_interval"][label], metrics["intervals"]["sensitivity"][label])
    lows = [interval[0] for interval in intervals if interval is not None]
    return Sensitivity(share=share, low=None if share is None else min(lows))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The recorded digests and image settings of the run that made a version."""

    version: int
    md5s: Mapping[str, str]
    """DVC's digests of the run's inputs and outputs, by path."""
    image_size_px: int
    """Size of the images of its split."""
    aspect: Aspect
    reading: Reading = 1
    """Version of the rule by which they were read."""

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
        """Return figures and audits. Raises DataError if a report cannot be found."""
        return Candidate.of_reports(self._report(METRICS), self._report(AUDIT), self._report(SPLIT_REPORT))

    def predictions(self) -> SplitPredictions | None:
        """Return the version's test predictions; None if they cannot be found."""
        content = self._content(PREDICTIONS)
        return None if content is None else read_predictions(io.BytesIO(content))

    def seen_patients(self) -> "SeenPatients | None":
        """Return the version's training patients; None if its manifest cannot be found."""
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
        return json_object(content, path)

    def _content(self, path: Path) -> bytes | None:
        md5 = self.md5s.get(str(path))
        return None if md5 is None else content_of(path, md5)


@dataclass(frozen=True, kw_only=True)
class SeenPatients:
    """The patients of a version's training and validation splits, and their images, with those that show the same."""

    ids: frozenset[str]
    """Ids of patients and, as a patient's id may have changed, of images."""
    named_by: str | None
    """Fingerprint of the naming scheme: ids are comparable only if it is the same."""
    contents: frozenset[str]
    """SHA-256 of the images' bytes, and of their pixels as stored: a file may have another name since."""

    @classmethod
    def of_manifest(cls, content: bytes) -> Self:
        """Return the seen patients of a manifest, given as the content of its file."""
        columns = ["image_id", "patient_id", "patient_group", "split", "sha256", "pixel_sha256"]
        table = pq.read_table(io.BytesIO(content), columns=columns)
        notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        groups = table.filter(pc.is_in(table["split"], pa.array(SEEN_SPLITS)))["patient_group"]
        seen = table.filter(pc.is_in(table["patient_group"], groups.combine_chunks()))

        def values(*names: str) -> frozenset[str]:
            return frozenset(value for name in names for value in seen[name].to_pylist() if value is not None)

        return cls(
            ids=values("patient_id", "image_id"),
            named_by=notes.get(IDS),
            contents=values("sha256", "pixel_sha256"),
        )
