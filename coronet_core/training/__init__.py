"""Training: one loop that knows no model, and what each of the two networks gives it."""

from coronet_core.training.autoencoder import autoencoder_fit
from coronet_core.training.cin import cin_fit, inverse_frequency_weights
from coronet_core.training.loop import EpochEnd, Fitting, History, fit

__all__ = [
    "EpochEnd",
    "Fitting",
    "History",
    "autoencoder_fit",
    "cin_fit",
    "fit",
    "inverse_frequency_weights",
]
