"""Attribution maps on request: made one after another in a thread of their own, drawn as PNG."""

import asyncio
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from coronet_core.common.batches import as_image
from coronet_core.common.classes import CLASSES, ClassName
from coronet_core.support.callbacks import noop
from serving.batcher import QueueFullError
from tasks.explain.methods import maps_of
from tasks.explain.resumable_batches import Batch
from tasks.inference.predictor import Networks
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.explain import ExplainParams, MethodName

PREVIEW_PX: Final = 1024
"""Longer side of a preview: what a screen shows; the file itself stays with whoever sent it."""

DEFAULT_METHOD: Final[MethodName] = "grad_cam"
METHODS: Final[tuple[MethodName, ...]] = ("grad_cam", "occlusion", "integrated_gradients", "perturbation")
Target = ClassName | Literal["predicted"]


def png(grey: Image.Image) -> bytes:
    """Return an image of mode L as PNG."""
    encoded = io.BytesIO()
    grey.save(encoded, "PNG", compress_level=3)
    return encoded.getvalue()


def map_png(values: NDArray[np.floating], white: float) -> bytes:
    """Return `values` (H, W), at least 0, as PNG, `white` and all above it as 255."""
    scaled = np.clip(values / white, 0, 1) if white > 0 else np.zeros_like(values)
    return png(Image.fromarray((255 * scaled).round().astype(np.uint8)))


class TookTooLongError(Exception):
    """The time of an explanation is up."""


@dataclass(frozen=True)
class Explanation:
    """A map of one image, and what it explains."""

    values: NDArray[np.float32]
    """(H, W), at least 0, of the square that the networks saw."""
    label: ClassName
    method: MethodName
    seconds: float


class Explainer:
    """A bounded queue before one thread that makes maps."""

    def __init__(
        self,
        model: TrainedModel,
        device: torch.device,
        params: ExplainParams,
        *,
        seed: int,
        queue: int,
        limit_s: float,
    ) -> None:
        """`params` and `seed` are what the stage `explain` takes; networks are loaded when they are first needed."""
        self._model = model
        self._device = device
        self._params = params
        self._seed = seed
        self._queue = queue
        self._limit_s = limit_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explanations")
        self._closing = threading.Event()
        self.in_hand = 0
        """Explanations that wait, and the one in work."""

    def close(self) -> None:
        """Give up what is in work at its next pass, and what waits."""
        self._closing.set()
        self._thread.shutdown(cancel_futures=True)

    async def explain(self, pixels: NDArray[np.uint8], method: MethodName, target: Target) -> Explanation:
        """Return a map of `pixels` (H, W). Raises QueueFullError and TookTooLongError."""
        if self.in_hand > self._queue:
            raise QueueFullError
        self.in_hand += 1
        is_given_up = threading.Event()
        work = self._thread.submit(self._make, pixels, method, target, is_given_up)
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda _: loop.call_soon_threadsafe(self._one_less))
        try:
            return await asyncio.wrap_future(work)
        finally:
            is_given_up.set()  # whoever asked has an answer, or has gone

    def _one_less(self) -> None:
        self.in_hand -= 1

    @cached_property
    def _networks(self) -> Networks:
        return Networks.of(self._model, self._device)

    def _make(
        self, pixels: NDArray[np.uint8], method: MethodName, target: Target, is_given_up: threading.Event
    ) -> Explanation:
        began = monotonic()

        def on_pass(*_: object) -> None:
            if is_given_up.is_set() or self._closing.is_set() or monotonic() - began > self._limit_s:
                raise TookTooLongError

        on_pass()
        coronet = self._networks.coronet
        coronet.register_forward_pre_hook(on_pass)
        image = as_image(torch.from_numpy(pixels[None].copy()).to(self._device))  # (1, 1, H, W)
        with torch.no_grad():
            predicted = int(coronet(image).probabilities.argmax())
        label = predicted if target == "predicted" else CLASSES.index(target)
        batch = Batch(
            rows=torch.arange(1),
            names=[""],
            image=image,
            target=torch.tensor([label], device=self._device),
            on_pass=noop,
        )
        made = maps_of(method, coronet, batch, self._params, self._seed)  # (1, 1, H, W)
        values = made[0, 0].float().cpu().numpy()
        return Explanation(values, CLASSES[label], method, monotonic() - began)
