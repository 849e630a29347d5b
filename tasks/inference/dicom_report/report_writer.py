"""A folder of DICOM results, one structured report and, if asked for, one map for each DICOM image with a prediction.

Files are named by their UIDs, so a repeated run finds what is there; they are for their owner alone, as they name
patients. `index.csv` says which belong to which image, and why one has none.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pydicom
import torch

from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from coronet_core.data.reading.image import preview
from coronet_core.support.errors import DataError
from coronet_core.support.whole_files import write_whole
from tasks.inference.attribution import MapSettings, maps_for
from tasks.inference.dicom_report import secondary_capture as sc
from tasks.inference.dicom_report import structured_report as sr
from tasks.inference.dicom_report.map_picture import LONGEST_PX, ExplainedMap, map_picture
from tasks.inference.dicom_report.report_file_names import INDEX, file_name
from tasks.inference.dicom_report.result_object import is_whole
from tasks.inference.dicom_report.source_study import NOT_DICOM, source_of
from tasks.inference.input.image_file import ImageFile
from tasks.inference.input.storage import read
from tasks.inference.output.formats import safe_cell
from tasks.inference.predictor import Networks
from tasks.inference.seen_area import seen_area
from tasks.package.prediction_schema import in_unicode
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.explain import MethodName
from tasks.runtime.progress import Progress

COLUMNS: Final = ("path", "error", "report", "map")


@dataclass(frozen=True, kw_only=True)
class MapMaker:
    """Maps of the most probable class, by one method."""

    model: TrainedModel
    method: MethodName
    settings: MapSettings
    device: torch.device

    @cached_property
    def _networks(self) -> Networks:
        return Networks.of(self.model, self.device)

    def explain(self, content: bytes, row: Mapping[str, Any], decoders: Decoders, bar: Progress) -> ExplainedMap:
        """Return the map of the image in `content` for the class that `row` predicts. Raises DataError."""
        model, label = self.model, row["predicted"]
        image = decoders.decode(content, model.image_size_px, model.aspect, model.reading)
        values = maps_for(self._networks, self.method, self.settings, image.pixels[None], [label], bar.note)[0]
        return ExplainedMap(
            values=values,
            label=label,
            probability=float(row[f"calibrated_{label}"]),
            method=self.method,
            area=seen_area(*image.upright_px, model.aspect),
        )


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a folder of results has, and why predicted images have none."""

    reports: int
    maps: int
    not_dicom: int
    refused: Counter[str]
    """Number of DICOM files without a report, by reason."""


@dataclass(frozen=True, kw_only=True)
class ReportFolder:
    """The writer of a folder that `require_report_folder` has let through."""

    folder: Path
    model_digest: str
    maps: MapMaker | None

    def write(self, files: Sequence[ImageFile], tables: Iterable[pa.Table]) -> Written:
        """Write the results of `tables` (`prediction_schema.SCHEMA`), made of `files`, and the index."""
        by_path = {in_unicode(file.path): file for file in files}
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = []
        refused: Counter[str] = Counter()
        with Decoders(1) as decoders, Progress("DICOM", len(files), "files") as bar:
            for row in (row for table in tables for row in table.to_pylist()):
                rows.append({"path": row["path"], **self._results(by_path.get(row["path"]), row, decoders, bar)})
                if row["error"] is None and (reason := rows[-1].get("error")):
                    refused[reason] += 1
                bar.advance()
        write_whole(self.folder / INDEX, partial(_write_index, rows), is_private=True)
        return Written(
            reports=sum("report" in row for row in rows),
            maps=sum("map" in row for row in rows),
            not_dicom=refused.pop(NOT_DICOM, 0),
            refused=refused,
        )

    def _results(
        self, file: ImageFile | None, row: Mapping[str, Any], decoders: Decoders, bar: Progress
    ) -> dict[str, Any]:
        """Return the names of the files of an image, or the error why there are none."""
        if row["error"] is not None:
            return {"error": row["error"]}
        try:
            content = _content_of(file, row["sha256"])
            source = decoders.run(source_of, content)
            named = {"report": self._write_report(source, row)}
            if self.maps is not None:
                named["map"] = self._write_map(self.maps, source, content, row, decoders, bar)
        except DataError as error:
            return {"error": str(error)}
        return named

    def _write_report(self, source: pydicom.Dataset, row: Mapping[str, Any]) -> str:
        uid = sr.report_uid(source, row["sha256"], self.model_digest)
        path = self.folder / file_name(sr.KIND, uid)
        if not is_whole(path, uid):
            made = sr.structured_report(source, row, self.model_digest)
            write_whole(path, lambda unfinished: unfinished.write_bytes(made), is_private=True)
        return path.name

    def _write_map(
        self,
        maker: MapMaker,
        source: pydicom.Dataset,
        content: bytes,
        row: Mapping[str, Any],
        decoders: Decoders,
        bar: Progress,
    ) -> str:
        settings = (row["predicted"], maker.settings)
        uid = sc.capture_uid(source, row["sha256"], self.model_digest, maker.method, *settings)
        path = self.folder / file_name(sc.KIND, uid)
        if not is_whole(path, uid):
            explained = maker.explain(content, row, decoders, bar)
            seen = decoders.run(preview, content, LONGEST_PX, maker.model.reading)
            picture = map_picture(seen, explained)
            made = sc.secondary_capture(source, picture, explained, row["sha256"], self.model_digest, *settings)
            write_whole(path, lambda unfinished: unfinished.write_bytes(made), is_private=True)
        return path.name


def _content_of(file: ImageFile | None, digest: str) -> bytes:
    """Return the bytes that were predicted. Raises DataError if they are no longer there."""
    found = None if file is None else read(file)
    if found is not None and found.error is not None:
        raise DataError(found.error)
    if found is None or sha256(found.content).hexdigest() != digest:
        raise DataError("no report: the file has changed since it was predicted. Run the command again.")
    return found.content


def _write_index(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([safe_cell(column, row.get(column)) for column in COLUMNS] for row in rows)
