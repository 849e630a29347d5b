"""What `coronet predict --dicom-out` writes, and what it says of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

from coronet_core.support.errors import DataError, ParamsError
from tasks.inference.dicom_report.report_file_names import require_report_folder
from tasks.inference.prediction_options import Method

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.inference.dicom_report.report_writer import MapMaker, Written
    from tasks.inference.input.image_file import ImageFile


@dataclass(frozen=True)
class DicomOrder:
    """What the command line asks for: a folder that may be written to, and a method if maps are wanted."""

    folder: Path
    method: Method | None

    @classmethod
    def of(cls, folder: Path | None, method: Method | None, paths: Sequence[str]) -> Self | None:
        """Return the order, None without a folder. Raises CoroNetError if it cannot be met. `paths` are predicted."""
        if folder is None:
            if method is not None:
                raise ParamsError(f"--dicom-map {method}: needs --dicom-out FOLDER, to which maps are written.")
            return None
        require_report_folder(folder, paths)
        return cls(folder, method)

    def open(self, model: str | None) -> "DicomResults":
        """Return what writes the results. Raises CoroNetError if there are no settings for the maps of `model`."""
        return DicomResults(self.folder, self._maps(model))

    def _maps(self, source: str | None) -> "MapMaker | None":
        if self.method is None:
            return None
        import torch

        from tasks.inference.attribution import MapSettings
        from tasks.inference.batch import inference_device
        from tasks.inference.dicom_report.report_writer import MapMaker
        from tasks.inference.model_source import load_model

        model = load_model(source)
        settings = MapSettings.of(None, source, model.image_size_px)
        device = torch.device(inference_device())
        return MapMaker(model=model, method=self.method.value, settings=settings, device=device)


@dataclass(frozen=True)
class DicomResults:
    """The folder, open for the results of finished predictions."""

    folder: Path
    maps: "MapMaker | None"

    def write(self, files: Sequence["ImageFile"], tables: Iterable["pa.Table"], model_digest: str) -> "Written":
        """Write the results of the predictions in `tables`. Raises DataError if their model is not that of the maps."""
        if self.maps is not None and self.maps.model.digest != model_digest:
            raise DataError("no DICOM results: meanwhile the name of the model leads to another one. Run it again.")
        from flows.project.run_lock import alone
        from tasks.inference.dicom_report.report_writer import ReportFolder  # late: highdicom takes a second

        with alone(self.folder.with_name(f".{self.folder.name}.lock"), f"the DICOM results in {self.folder}"):
            return ReportFolder(folder=self.folder, model_digest=model_digest, maps=self.maps).write(files, tables)

    def print_summary(self, written: "Written", file: TextIO) -> None:
        """Say what was written and what was not."""
        from tasks.runtime.safe_text.terminal import printable

        maps = "" if self.maps is None else f", maps by {self.maps.method}: {written.maps}"
        lines = [f"DICOM reports: {written.reports}{maps}, in {self.folder.resolve()}"]
        if written.not_dicom:
            lines.append(f"no report: not DICOM ({written.not_dicom})")
        lines += [f"failed: {printable(reason)} ({n})" for reason, n in written.refused.items()]
        print("\n".join(lines), file=file)
