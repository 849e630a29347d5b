"""How many requests with images one client may send in a time."""

import math
import time
from http import HTTPStatus

from limits import RateLimitItem
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from serving.problems import Problem


class RateLimit:
    """A moving window over the requests of each client."""

    def __init__(self, rate: RateLimitItem) -> None:
        self._rate = rate
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    async def count(self, client: str) -> Problem | None:
        """Count a request of `client`; return the problem (429) if it is one too many."""
        if await self._limiter.hit(self._rate, client):
            return None
        window = await self._limiter.get_window_stats(self._rate, client)
        wait_s = max(math.ceil(window.reset_time - time.time()), 1)
        detail = f"More than {self._rate} from this address. Try again after the seconds in Retry-After."
        return Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after_s=wait_s, reason="rate")
