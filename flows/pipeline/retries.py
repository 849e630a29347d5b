"""Retries of stages: which failures are tried again, how often and after how long.

A stage says by its exit code that trying again may help (`tasks/runtime/error_handling.py`).
"""

from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from pydantic import BaseModel, ConfigDict, Field

from flows.monitoring.final_states import TRANSIENT_FAILURE

LONGEST_DELAY_S = 600.0


class StagePolicy(BaseModel):
    """How often and how long stages are tried: a parameter of flows, and a form on Prefect's page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retries: int = Field(default=2, ge=0, le=10, description="Retries of a stage after a transient failure.")
    retry_delay_s: float = Field(default=10.0, gt=0, description="Seconds before the first retry; doubled each time.")
    timeout_minutes: float | None = Field(
        default=None, gt=0, description="Time limit of a stage; null: none. Time on Ray does not count."
    )

    @property
    def delays_s(self) -> list[float]:
        """Seconds before each further try, twice as long each time up to LONGEST_DELAY_S."""
        return [min(LONGEST_DELAY_S, self.retry_delay_s * 2**n) for n in range(self.retries)] or [0.0]


DEFAULT_POLICY = StagePolicy()


def may_pass(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Whether the failure of a stage is transient: Prefect's condition for trying again."""
    return state.name == TRANSIENT_FAILURE
