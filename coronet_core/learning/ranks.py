"""The processes that train one model together, each on its share of every batch.

They hold the same weights and make the same decisions. What follows from a batch as a whole (gradients, batch norm,
losses) is summed over them, so N processes do what one process does with the same batch, up to the order of sums.

torch is imported by those who have someone to talk to: who is alone may be a stage without networks.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LEADER = 0
"""The rank that writes files, tracks, and broadcasts its decisions to the others."""


@dataclass(frozen=True)
class Ranks:
    """One of `size` processes, numbered from 0. With more than one, torch's default process group must be there."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == LEADER

    def shard(self, rows: "Tensor") -> "Tensor":
        """Return this process's rows of `rows` (n, ...), as many as the others have or one more; there may be none."""
        return rows if self.size == 1 else rows.tensor_split(self.size)[self.rank]

    def all_reduce(self, part: "Tensor") -> "Tensor":
        """Return the sum of `part` over all processes, the same in each."""
        if self.size == 1:
            return part
        from torch import distributed as dist

        total = part.clone()
        dist.all_reduce(total)
        return total

    def broadcast_metrics(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the leader's `metrics`: what is decided by them is decided alike, on unlike processors too."""
        if self.size == 1:
            return metrics
        import torch
        from torch import distributed as dist

        values = torch.tensor(list(metrics.values()), dtype=torch.float64)
        dist.broadcast(values, LEADER)
        return dict(zip(metrics, values.tolist(), strict=True))

    def broadcast_bytes(self, content: bytes | None) -> bytes | None:
        """Return the leader's `content`; what the others give does not count."""
        if self.size == 1:
            return content
        import torch
        from torch import distributed as dist

        n_bytes = torch.tensor(-1 if content is None else len(content))
        dist.broadcast(n_bytes, LEADER)
        if n_bytes < 0:
            return None
        sent = bytearray(content or b"") if self.leads else bytearray(int(n_bytes))
        buffer = torch.frombuffer(sent, dtype=torch.uint8)
        dist.broadcast(buffer, LEADER)
        return bytes(sent)


ALONE = Ranks(rank=0, size=1)
"""One process, which shares nothing with anyone."""
