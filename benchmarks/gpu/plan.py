"""What is measured, in this order, and each measurement's share of the time."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final


@dataclass(frozen=True)
class Measurement:
    """A function that is given a `Bench`, and its part of the time."""

    name: str
    function: str
    """`module:function`; it is imported where it runs."""
    weight: float
    """Seconds of 10 minutes; what is compiled has most."""

    def load(self) -> Callable[[Any], object]:
        """Import the function."""
        module, function = self.function.split(":")
        loaded: Callable[[Any], object] = getattr(import_module(module), function)
        return loaded


PLAN: Final = (
    Measurement("card", "benchmarks.gpu.card:measure", 10),
    Measurement("checks", "benchmarks.gpu.checks:measure", 40),
    Measurement("AE step", "benchmarks.gpu.autoencoder:measure_ways", 25),
    Measurement("AE batches", "benchmarks.gpu.autoencoder:measure_batches", 25),
    Measurement("AE compiled", "benchmarks.gpu.autoencoder:measure_compiled", 100),
    Measurement("AE best batch", "benchmarks.gpu.autoencoder:measure_best_batch", 80),
    Measurement("both AEs", "benchmarks.gpu.side_by_side:measure", 60),
    Measurement("CIN step", "benchmarks.gpu.classifier:measure", 45),
    Measurement("data", "benchmarks.gpu.data:measure", 30),
    Measurement("protocol", "benchmarks.gpu.protocol:measure", 50),
    Measurement("explainer", "benchmarks.gpu.explainer:measure", 30),
    Measurement("prediction", "benchmarks.gpu.prediction:measure", 45),
    Measurement("real epochs", "benchmarks.gpu.protocol:measure_real_epochs", 60),  # last: takes what is left
)
