"""Attribution maps and overlays for image files, in a folder that an interrupted run goes on with."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coronet_core.common.shards import read_array, write_array
from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from coronet_core.data.reading.image import Decode
from coronet_core.support.errors import DamagedFileError, DataError
from coronet_core.support.whole_files import write_whole
from tasks.inference.attribution import MapSettings, maps_for
from tasks.inference.input.image_file import ImageFile, shards_of
from tasks.inference.input.storage import read_files
from tasks.inference.output.formats import safe_cell
from tasks.inference.predictor import Networks, decode_files, predict_decoded
from tasks.report.plots.attribution_maps import Explained, attribution_maps
from tasks.runtime.code_digest import code_digest, files_needed_by
from tasks.runtime.files import digest
from tasks.runtime.params.explain import MethodName
from tasks.runtime.progress import Progress

SHARD_FILES: Final = 64
INDEX_COLUMNS: Final = (
    "path",
    "error",
    "explained",
    "probability",
    "abstained",
    "out_of_distribution",
    "overlay",
    "map",
)
NAMED_BY: Final = 40
"""Characters of the image file's name that are kept."""
DIGITS: Final = 16
OURS: Final = re.compile(rf"index_\w+\.csv|[\w.-]*-[0-9a-f]{{{DIGITS}}}\.(png|npy)|\..*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Overlays:
    """Maps by one method, written to a folder."""

    networks: Networks
    method: MethodName
    settings: MapSettings
    folder: Path

    def __post_init__(self) -> None:
        """Make the folder. Raises DataError if it contains anything but maps and overlays."""
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{self.folder}: a file. Maps are written to a folder: give another name.")
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if OURS.fullmatch(path.name) is None:
                raise DataError(
                    f"{self.folder}: contains {path.name}, so it is not a folder of maps. Give another name."
                )

    def draw(self, files: Sequence[ImageFile]) -> list[dict[str, Any]]:
        """Draw all `files` and write the index; returns its rows, one per file, unreadable ones included."""
        rows: list[dict[str, Any]] = []
        with Decoders() as decoders, Progress(f"explain {self.method}", len(files), "files") as bar:
            for shard in shards_of(files, SHARD_FILES):
                rows += self._draw_shard(shard, decoders.decode, bar)
        write_whole(self.folder / f"index_{self.method}.csv", partial(_write_index, rows))
        return rows

    def _draw_shard(self, files: Sequence[ImageFile], decode: Decode, bar: Progress) -> list[dict[str, Any]]:
        decoded = decode_files(read_files(files), self.networks.model, decode)
        predictions = predict_decoded(decoded, self.networks).to_pylist()
        names = [self._name(file) for file in files]
        predicted = [i for i, prediction in enumerate(predictions) if prediction["error"] is None]
        to_draw = [i for i in predicted if not self._is_drawn(names[i])]
        bar.advance(len(files) - len(to_draw))
        batch_size = self.settings.params.batch_size
        for chosen in (to_draw[start : start + batch_size] for start in range(0, len(to_draw), batch_size)):
            images = np.stack([image.pixels for i in chosen if (image := decoded[i].image) is not None])
            explained = [predictions[i]["predicted"] for i in chosen]
            maps = maps_for(self.networks, self.method, self.settings, images, explained, bar.note)
            for i, image, salience in zip(chosen, images, maps, strict=True):
                self._write(names[i], image, salience, predictions[i])
            bar.advance(len(chosen))
        return [_row(prediction, name) for prediction, name in zip(predictions, names, strict=True)]

    def _write(
        self, name: str, image: NDArray[np.uint8], salience: NDArray[np.float32], prediction: dict[str, Any]
    ) -> None:
        """Write the map and then its overlay, which marks both as finished."""
        explained = Explained(None, prediction["predicted"], _probability(prediction), boxes=())
        drawing = attribution_maps(image[None], {self.method: salience[None]}, [explained])
        write_array(self.folder / f"{name}.npy", salience)
        write_whole(self.folder / f"{name}.png", lambda partial: partial.write_bytes(drawing.png))

    def _is_drawn(self, name: str) -> bool:
        """Return whether the map and its overlay exist and are whole."""
        try:
            read_array(self.folder / f"{name}.npy")
            with Image.open(self.folder / f"{name}.png") as overlay:
                overlay.verify()
        except (DamagedFileError, OSError, ValueError, EOFError, SyntaxError):  # the last: Pillow, of a wrong checksum
            return False
        return True

    @cached_property
    def _code(self) -> str:
        return code_digest(files_needed_by(__name__))

    def _name(self, file: ImageFile) -> str:
        """Return a name that changes with the file, its version, the model, the method, the settings or the code."""
        model = self.networks.model.digest
        work = digest(file.path, file.version, model, self.method, self.settings, self._code)
        own = re.sub(r"[^A-Za-z0-9.-]+", "_", PurePosixPath(file.path).name)[-NAMED_BY:].lstrip("._-")
        return f"{own or 'image'}-{work[:DIGITS]}"


def _probability(prediction: dict[str, Any]) -> float:
    return float(prediction[f"calibrated_{prediction['predicted']}"])


def _row(prediction: dict[str, Any], name: str) -> dict[str, Any]:
    if prediction["error"] is not None:
        return {"path": prediction["path"], "error": prediction["error"]}
    kept = {column: prediction[column] for column in ("path", "abstained", "out_of_distribution")}
    written = {"overlay": f"{name}.png", "map": f"{name}.npy"}
    return kept | written | {"explained": prediction["predicted"], "probability": _probability(prediction)}


def _write_index(rows: Sequence[dict[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(INDEX_COLUMNS)
        writer.writerows([safe_cell(column, row.get(column)) for column in INDEX_COLUMNS] for row in rows)
