"""Attribution maps and overlays for image files, with the settings of the model's run or of a params file."""

import csv
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from coronet_core.common.batches import as_image
from coronet_core.common.classes import CLASSES
from coronet_core.common.seeds import derive_seed
from coronet_core.common.shards import read_array, write_array
from coronet_core.data.decoding.decoding_processes import Decoders
from coronet_core.data.reading.image import Decode
from coronet_core.support.errors import DamagedFileError, DataError, ParamsError
from coronet_core.support.whole_files import write_whole
from tasks.explain.methods import maps_of, passes
from tasks.explain.resumable_batches import Batch
from tasks.inference.input.image_file import ImageFile, shards_of
from tasks.inference.input.storage import read_files
from tasks.inference.model_source import params_of_run, section_of
from tasks.inference.output.formats import safe_cell
from tasks.inference.predictor import Networks, decode_files, predict_decoded
from tasks.report.plots.attribution_maps import Explained, attribution_maps
from tasks.runtime.code_digest import code_digest, files_needed_by
from tasks.runtime.files import digest
from tasks.runtime.params.explain import ExplainParams, MethodName
from tasks.runtime.params.file import PARAMS_FILE, read_params
from tasks.runtime.progress import Progress

STAGE = "explain"
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
class MapSettings:
    """Parameters and random seed of the methods."""

    params: ExplainParams
    seed: int

    @classmethod
    def of(cls, params_file: Path | None, source: str | None, image_size_px: int) -> Self:
        """Return the settings of `params_file` or, without one, of the run that trained the model of `source`.

        If that run has not run the stage `explain`, they are those of `params.yaml`. Raises ParamsError if there are no
        settings, or if they do not suit images of `image_size_px`.
        """
        settings = cls._of_run(source) if params_file is None else None
        if settings is None:
            params = read_params(params_file or PARAMS_FILE)
            settings = cls(params=params.explain, seed=derive_seed(params.seed, STAGE))
        mask = settings.params.perturbation.mask_size_px
        if mask > image_size_px:
            raise ParamsError(
                f"explain.perturbation.mask_size_px = {mask}: allowed: at most {image_size_px}, the size of the "
                "model's images. Give a file with other settings (--params)."
            )
        return settings

    @classmethod
    def _of_run(cls, source: str | None) -> Self | None:
        found = params_of_run(source)
        params = section_of(found, STAGE, ExplainParams, "Give a params file of this version (--params).")
        if params is None or "seed" not in found:
            return None
        return cls(params=params, seed=derive_seed(found["seed"], STAGE))


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
            maps = self._maps(images, [predictions[i]["predicted"] for i in chosen], bar)
            for i, image, salience in zip(chosen, images, maps, strict=True):
                self._write(names[i], image, salience, predictions[i])
            bar.advance(len(chosen))
        return [_row(prediction, name) for prediction, name in zip(predictions, names, strict=True)]

    def _maps(self, images: NDArray[np.uint8], explained: Sequence[str], bar: Progress) -> NDArray[np.float32]:
        """Return the maps (b, H, W) of `images` (b, H, W) for the classes `explained`."""
        height, width = images.shape[1:]
        n_passes, done = passes(self.method, self.settings.params, height, width), itertools.count(1)
        batch = Batch(
            rows=torch.arange(len(images)),
            names=[],
            image=as_image(torch.from_numpy(images).to(self.networks.device)),
            target=torch.tensor([CLASSES.index(label) for label in explained], device=self.networks.device),
            on_pass=lambda: bar.note(f"pass {next(done)} of {n_passes}"),
        )
        found = maps_of(self.method, self.networks.coronet, batch, self.settings.params, self.settings.seed)
        return np.asarray(found.squeeze(1).cpu().numpy(), dtype=np.float32)

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
