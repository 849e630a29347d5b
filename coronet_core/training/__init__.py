"""Training: one loop that knows no model, and what each of the two networks gives it."""

from coronet_core.ranks import ALONE, Ranks
from coronet_core.training.autoencoder import autoencoder_learner
from coronet_core.training.cin import cin_learner, inverse_frequency_weights
from coronet_core.training.loop import EpochEnd, History, Schedule, fit

__all__ = [
    "ALONE",
    "EpochEnd",
    "History",
    "Ranks",
    "Schedule",
    "autoencoder_learner",
    "cin_learner",
    "fit",
    "inverse_frequency_weights",
]
