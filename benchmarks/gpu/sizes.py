"""How large everything is: the paper's sizes, and a hundredth of them to try the command on a CPU."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Size:
    """Sizes of a run."""

    name: str
    side_px: int
    """Of the images; a multiple of 8, and at least 48 for the explainer's blur."""
    batch: int
    """Images of a step of an autoencoder."""
    batches: tuple[int, ...]
    """Among which the best is sought, ascending."""
    cin_batch: int
    share: float
    """Of the images of the paper's data set."""
    explained: int
    iterations: int
    """Of the explainer."""
    answered: tuple[int, ...]
    """Batches of predictions."""
    timed_s: float
    """How long one figure is measured, on a clock."""
    blocks: int
    """Of calls, whose median is the figure."""
    warm_up: int
    """Calls that plan and allocate, and are not timed."""

    def of(self, n_images: int) -> int:
        """Return how many images stand for `n_images` of the paper."""
        return max(2 * self.batch, round(self.share * n_images))


PAPER: Final = Size(
    name="paper",
    side_px=224,
    batch=32,
    batches=(32, 64, 128, 256, 512),
    cin_batch=16,
    share=1.0,
    explained=64,
    iterations=300,
    answered=(64, 256),
    timed_s=1.0,
    blocks=5,
    warm_up=3,
)
HUNDREDTH: Final = Size(
    name="hundredth",
    side_px=64,
    batch=4,
    batches=(4, 8),
    cin_batch=4,
    share=0.01,
    explained=4,
    iterations=3,
    answered=(4,),
    timed_s=0.1,
    blocks=2,
    warm_up=1,
)
SIZES: Final = {size.name: size for size in (PAPER, HUNDREDTH)}
