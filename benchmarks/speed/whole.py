"""End to end: an epoch of each network, residuals, answers for every image; from files, in one process."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed import autoencoders, classifier
from benchmarks.speed.setting import Setting, Work


def plain_whole(setting: Setting) -> Work:
    """Both autoencoders, then a CIN that recomputes residuals in every step, then image by image."""
    return _one_after_another(
        [
            autoencoders.plain_training_step(setting),
            autoencoders.plain_training_step(setting),
            *[classifier.plain_step_recomputed(setting)] * CIN_EPOCHS,
            autoencoders.plain_materialisation(setting),
            classifier.plain_evaluation(setting),
        ]
    )


def our_whole(setting: Setting) -> Work:
    """Both autoencoders, residuals once, the CIN from shards, answers in batches."""
    return _one_after_another(
        [
            autoencoders.our_training_step(setting),
            autoencoders.our_training_step(setting),
            autoencoders.our_materialisation(setting, "fp32"),
            *[classifier.our_step(setting)] * CIN_EPOCHS,
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


CIN_EPOCHS = 3
"""The paper trains 50 epochs of the autoencoders and 10 of the CIN."""
WAYS: dict[str, tuple[Callable[[Setting], Work], Callable[[Setting], Work]]] = {"end to end": (plain_whole, our_whole)}
