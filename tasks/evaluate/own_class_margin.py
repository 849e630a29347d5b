"""Whether each autoencoder reconstructs its own class better: the premise of the residual tensor, on the test split."""

from typing import Any

import numpy as np

from coronet_core.metrics.arrays import Floats
from coronet_core.metrics.auc import Ranking, roc_auc
from coronet_core.metrics.bootstrap import bootstrap, estimate
from coronet_core.metrics.intervals import percentile_interval, with_width
from coronet_core.metrics.out_of_distribution import SMALLEST_ENERGY
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.runtime.params.schema import EvaluateParams

AUTOENCODERS = ("healthy", "pneumonia")


def own_class_margin(test: SplitPredictions, params: EvaluateParams, seed: int) -> dict[str, Any]:
    """Return the means of |X - F_own| and |X - F_other| over the test images of each autoencoder's class.

    `own_is_better` is the share of a class's images that its own autoencoder reconstructs better. `roc_auc` is that of
    the ratio |X - F_H| / |X - F_P|, which should be larger for pneumonia than for healthy lungs: 1/2 says that the
    residuals' sizes tell nothing of the class. NaN without images of both classes; its interval is a bootstrap's over
    patients, None without width.
    """
    errors = {autoencoder: test.images[f"residual_{autoencoder}"].to_numpy(np.float64) for autoencoder in AUTOENCODERS}
    labels = test.images["label"].to_numpy(dtype=object)
    margin: dict[str, Any] = {}
    for own, other in (AUTOENCODERS, reversed(AUTOENCODERS)):
        pairs = np.stack([errors[own], errors[other]], axis=1)[labels == own]  # (n, 2)
        margin[own] = {
            "own": _mean(pairs[:, 0]),
            "other": _mean(pairs[:, 1]),
            "own_is_better": _mean((pairs[:, 0] < pairs[:, 1]).astype(np.float64)),
        }
    healthy, pneumonia = (np.log(np.maximum(errors[name], SMALLEST_ENERGY)) for name in AUTOENCODERS)
    chosen = np.isin(labels, AUTOENCODERS)
    if not chosen.any():
        return margin | {"roc_auc": float("nan"), "roc_auc_interval": None}
    ranking = Ranking.of((healthy - pneumonia)[chosen], labels[chosen] == "pneumonia")

    def area(weights: Floats) -> dict[str, Floats]:
        return {"roc_auc": roc_auc(ranking, weights)}

    drawn = bootstrap(area, test.groups[chosen], params.bootstrap_replicates, seed)["roc_auc"]
    interval = with_width(percentile_interval(drawn, params.confidence))
    return margin | {"roc_auc": estimate(area, int(chosen.sum()))["roc_auc"], "roc_auc_interval": interval}


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
