"""What the trained CIN says of one split."""

import torch

from coronet_core.classes import SplitName
from coronet_core.shards import batches
from tasks.cin import load_cin
from tasks.cin_data import cin_inputs_of_split
from tasks.progress import Progress
from tasks.stage import StageContext


@torch.inference_mode()
def logits_of_split(context: StageContext, split: SplitName) -> torch.Tensor:
    """Return the logits (n, 3) float64, on the CPU, of a split's images in the order of the residual index."""
    kind = context.params.cin.input
    cin = load_cin(kind, context.device)
    inputs, _ = cin_inputs_of_split(split, kind, context.device)
    everything = torch.arange(len(inputs), device=context.device)
    parts = []
    with Progress(context.name, len(inputs), "images") as bar:
        for positions in batches(everything, context.params.evaluate.batch_size):
            parts.append(cin(inputs.take(positions)).double().cpu())
            bar.advance(len(positions))
    return torch.cat(parts)
