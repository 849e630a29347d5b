"""What every stage is given."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.runtime.compute.distributed import NO_GROUP, DistributedContext
from tasks.runtime.params.schema import Params
from tasks.runtime.tracking.stage_run import StageRun

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """What a stage's `run` is given. A stage that does not ask for a device does not load torch."""

    name: str
    """As DVC calls the stage, with its item: `train_autoencoder@healthy`."""
    params: Params
    tracking: StageRun

    distributed: DistributedContext = NO_GROUP
    """Among the processes that train together; one process is alone."""

    @property
    def device_type(self) -> str:
        """Where the networks run: `cpu` or `cuda`. Asking leases nothing."""
        from tasks.runtime.compute.devices import device_type

        return device_type(self.params)

    @property
    def device(self) -> "torch.device":
        """Where the networks run. Asking leases a GPU, if that is where, until the process ends."""
        from tasks.runtime.compute.devices import device_of

        return self.distributed.device or device_of(self.params)
