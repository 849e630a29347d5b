"""End to end in the paper's proportions, from files to figures, in one process.

The paper trains each autoencoder for 50 epochs on the images of its class and the CIN for 10 on all of them: to each
image that the CIN sees an autoencoder sees five. A pass of both autoencoders here is as many images as one of the CIN.
Residuals and answers are made once, which the paper's ten epochs of the CIN would make ten times as rare.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed import autoencoders, classifier
from benchmarks.speed.setting import Setting
from benchmarks.speed.work import Work

AUTOENCODER_PASSES = 5
"""To one of the CIN."""


def plain_whole(setting: Setting) -> Work:
    """Both autoencoders, then a CIN that recomputes residuals in every step, then image by image."""
    return _one_after_another(
        [
            *[autoencoders.plain_training_step(setting)] * (2 * AUTOENCODER_PASSES),
            classifier.plain_step_recomputed(setting),
            classifier.plain_evaluation(setting),
        ]
    )


def our_whole(setting: Setting) -> Work:
    """Both autoencoders, residuals once, the CIN from shards, answers in batches."""
    return _one_after_another(
        [
            *[autoencoders.our_training_step(setting)] * (2 * AUTOENCODER_PASSES),
            autoencoders.our_materialisation(setting, "fp32"),
            classifier.our_step(setting),
            classifier.our_evaluation(setting),
        ]
    )


def _one_after_another(works: list[Work]) -> Work:
    def run() -> None:
        for work in works:
            work.action()

    def result() -> NDArray[np.float64]:
        return works[-1].result()

    return Work(run, result)


WAYS: dict[str, tuple[Callable[[Setting], Work], Callable[[Setting], Work]]] = {"end to end": (plain_whole, our_whole)}
