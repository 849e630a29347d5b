"""The service behind the routes: decoding in a pool, networks in batches, explanations in a queue of their own."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self, TypeVar

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from coronet_core.data.isolated_decoding.decoding_processes import Decoders
from coronet_core.data.reading.image import DecodedImage, decode, preview
from coronet_core.support.errors import DataError
from serving.batcher import Batcher, QueueFullError
from serving.explanations import PREVIEW_PX, Explainer, Explanation, Target, TookTooLongError
from serving.guards.admission import Admission
from serving.guards.service_metrics import ServiceMetrics
from serving.problems import Problem, too_busy, unreadable
from serving.response_models import FileAnswer, answer_from_row
from serving.settings import ServingSettings
from serving.uploads import Keeper, Upload
from tasks.inference.output.probability_meaning import meaning_of
from tasks.inference.predictor import DecodedFile, Networks, predict_decoded
from tasks.networks.trained_tfen import compute_shard
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.explain import ExplainParams, MethodName

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """What answers."""

    model: TrainedModel
    device: torch.device
    source: str
    """Where it comes from, as it is shown: `the last run`, `models:/coronet@champion`."""
    card: str
    """The model card, Markdown; empty without one."""
    explain: ExplainParams
    seed: int
    """Of the explanations."""
    on_rows: Callable[[pa.Table], object] | None = None
    """Hears the rows (`prediction_schema.SCHEMA`) of each predicted batch, in the thread of the networks."""

    @property
    def logs_answers(self) -> bool:
        """Whether somebody hears."""
        return self.on_rows is not None


class Service:
    """The networks at work. Open as long as its context is."""

    def __init__(self, served: ServedModel, settings: ServingSettings, metrics: ServiceMetrics) -> None:
        """Load the networks. Raises CoroNetError when they, or the folder for uploads, are not to be had."""
        self.served = served
        self.settings = settings
        self._networks = Networks.of(served.model, served.device)
        self._keeper = None if settings.keep is None else Keeper(settings.keep)
        self.metrics = metrics
        self.batcher: Batcher[DecodedFile, dict[str, Any]] = Batcher(
            self._answer_all,
            batch_items=settings.batch_images,
            wait_s=settings.batch_wait_ms / 1000,
            queue_items=settings.queue_images,
            on_batch=self.metrics.batch_images.observe,
        )
        self._explainer = Explainer(
            served.model,
            served.device,
            served.explain,
            seed=served.seed,
            queue=settings.explain_queue,
            limit_s=settings.explain_seconds,
        )
        self._admission = Admission(settings.decode_megapixels)
        self._decoders = Decoders(cpu_s=settings.decode_seconds)

    async def __aenter__(self) -> Self:
        await self.batcher.__aenter__()
        await self._decoders.run_async(bool)  # begins a process now, so that the first request need not wait for it
        return self

    async def __aexit__(self, *_: object) -> None:
        self._explainer.close()
        await self.batcher.__aexit__()
        self._decoders.close()

    @property
    def is_ready(self) -> bool:
        """Whether an image that comes now would be answered."""
        return self.batcher.is_running and not self.batcher.is_full

    async def predict(self, uploads: Sequence[Upload]) -> list[FileAnswer]:
        """Return an answer for each upload. Raises Problem: 503 if a queue is full, 422 if none can be read."""
        with self._admission.admitted(uploads):
            files = await asyncio.gather(*(self._decoded(upload) for upload in uploads))
        rows = await self._rows_of(files)
        answers = []
        for upload, row in zip(uploads, rows, strict=True):
            meaning = "" if row["error"] is not None else meaning_of(row, self.served.model.calibration)
            answers.append(answer_from_row(upload.name, upload.sha256, row, meaning))
        if not any("sha256" in row for row in rows):
            raise unreadable("; ".join(dict.fromkeys(str(row["error"]) for row in rows)), answers)
        return answers

    async def row_of(self, upload: Upload, image: DecodedImage) -> dict[str, Any]:
        """Return the row of an upload that `decode` has read. Raises Problem (503) if a queue is full."""
        (row,) = await self._rows_of([DecodedFile(upload.name, image, None)])
        return row

    async def _rows_of(self, files: Sequence[DecodedFile]) -> list[dict[str, Any]]:
        """Return a row (`prediction_schema.SCHEMA`) for each file; one without an image has an error alone."""
        try:
            predicted = iter(await self.batcher.answer([file for file in files if file.image is not None]))
        except QueueFullError as error:
            raise too_busy("Too many images are waiting") from error
        rows = [
            next(predicted) if file.image is not None else {"error": file.error, "width_px": None, "height_px": None}
            for file in files
        ]
        for row in rows:
            self.metrics.images.labels(_outcome(row)).inc()
        return rows

    async def limited(self, action: Callable[..., Made], *arguments: object) -> Made:
        """Return what `action`, a function of a module, makes of `arguments`, within the limits of decoding.

        Raises what it raises, and DataError if it takes too much.
        """
        return await self._decoders.run_async(action, *arguments)

    async def decode(self, upload: Upload) -> DecodedImage:
        """Return the image of an upload. Raises Problem (422) with the decoder's reason."""
        with self._admission.admitted([upload]):
            file = await self._decoded(upload)
        if file.image is None:
            raise unreadable(str(file.error))
        return file.image

    async def explain(self, image: DecodedImage, method: MethodName, target: Target) -> Explanation:
        """Return a map. Raises Problem (503) if the queue is full or the map takes too long."""
        try:
            made = await self._explainer.explain(image.pixels, method, target)
        except QueueFullError as error:
            raise too_busy("Too many explanations are waiting") from error
        except TookTooLongError as error:
            detail = (
                f"{method} took longer than {self.settings.explain_seconds:g} s. Choose another method, such as "
                "grad_cam, or start the service with a larger --explain-seconds."
            )
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, reason="explanation_too_slow") from error
        self.metrics.explanation_seconds.labels(method).observe(made.seconds)
        return made

    async def residuals(self, image: DecodedImage) -> NDArray[np.float16]:
        """Return the residual tensor (3, H, W) of an image, eq. (5)-(7)."""
        return await asyncio.to_thread(self._residuals, image.pixels)

    async def preview(self, upload: Upload) -> bytes:
        """Return an upload as it was read, as PNG. Raises Problem (422) with the decoder's reason."""
        try:
            with self._admission.admitted([upload]):
                return await self._decoders.run_async(preview, upload.content, PREVIEW_PX, self.served.model.reading)
        except DataError as error:
            raise unreadable(str(error)) from error

    def _residuals(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        made = compute_shard(self._networks.tfen, pixels[None].copy(), self.served.model.residuals, self.served.device)
        residual: NDArray[np.float16] = made.residuals[0]
        return residual

    async def _decoded(self, upload: Upload) -> DecodedFile:
        model = self.served.model
        try:
            image = await self._decoders.run_async(
                decode, upload.content, model.image_size_px, model.aspect, model.reading
            )
        except DataError as error:
            return DecodedFile(upload.name, None, str(error))
        if self._keeper is not None:
            await asyncio.to_thread(self._keeper.keep, upload)
        return DecodedFile(upload.name, image, None)

    def _answer_all(self, files: Sequence[DecodedFile]) -> list[dict[str, Any]]:
        rows = predict_decoded(files, self._networks)
        if self.served.on_rows is not None:
            self.served.on_rows(rows)
        answered: list[dict[str, Any]] = rows.to_pylist()
        return answered


def _outcome(row: dict[str, Any]) -> str:
    if row["error"] is not None:
        return "unreadable"
    return "abstained" if row["abstained"] else f"{row['predicted']}"
