"""Open connections: how many there may be, how long each may take, and which give way.

uvicorn waits for a request's headers for as long as a client likes, and takes connections until no more files can be
opened. Here a connection has a time for its headers and for taking its response, and the number of connections of a
client, and of all, is limited. A new one is never refused for the sake of those that wait for a request, half-sent or
not: the oldest of them is closed instead.
"""

import asyncio
import resource
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from coronet_core.support.errors import ParamsError

BACKLOG: Final = 64
"""Connections that the system holds until they are accepted; less than half of those of a client, so that each has been
read once before as many newer ones can take its place."""
OTHER_FILES: Final = 192
"""Open files besides connections: the program's own, and `BACKLOG` connections that are just being closed."""
FEWEST: Final = 16
RESPONSE_SECONDS: Final = 60
"""In which a client must take what was sent to it."""
TIMED_OUT: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FULL: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def fit_open_files(connections: int) -> int:
    """Return how many of `connections` the limit of open files allows, which is raised as far as the system lets it.

    Raises ParamsError if it allows fewer than `FEWEST`.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = connections if soft == resource.RLIM_INFINITY else min(connections, soft - OTHER_FILES)
    if allowed < min(connections, FEWEST):
        raise ParamsError(
            f"open files: at most {soft} are allowed here, too few for a service. Raise the limit: ulimit -n {wanted}."
        )
    return allowed


class OpenConnections:
    """The connections of a service, those that have been waiting longest first."""

    def __init__(
        self,
        *,
        most: int,
        most_of_client: int,
        header_seconds: float,
        proxies: frozenset[str],
        on_closed: Callable[[str], object],
    ) -> None:
        """`proxies` are addresses with any number of connections. `on_closed` hears why one was closed."""
        self._most = most
        self._most_of_client = most_of_client
        self._proxies = proxies
        self._open: dict[LimitedProtocol, None] = {}
        self.header_seconds = header_seconds
        self.on_closed = on_closed

    def add(self, new: "LimitedProtocol") -> None:
        """Take `new` in; if there are too many, another one, or itself if all others are in work, is closed."""
        host = new.host
        of_client = [one for one in self._open if one.host == host]
        if host not in self._proxies and len(of_client) >= self._most_of_client:
            self._make_room(of_client, new, "too_many_of_client")
        elif len(self._open) >= self._most:
            self._make_room(list(self._open), new, "too_many")
        self._open[new] = None

    def move_to_end(self, protocol: "LimitedProtocol") -> None:
        """Note that `protocol` has just been in use."""
        if protocol in self._open:
            self._open[protocol] = self._open.pop(protocol)

    def discard(self, protocol: "LimitedProtocol") -> None:
        """Forget `protocol`."""
        self._open.pop(protocol, None)

    def _make_room(self, among: "list[LimitedProtocol]", new: "LimitedProtocol", reason: str) -> None:
        waiting = next((one for one in among if one.is_waiting), None)
        self.on_closed(reason)
        if waiting is None:
            new.transport.write(FULL)
            new.transport.close()
        else:
            self.discard(waiting)
            waiting.transport.abort()


class _Countdown:
    """Calls `action` unless it is stopped in time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, action: Callable[[], object]) -> None:
        self._loop = loop
        self._action = action
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> None:
        """Begin, unless it runs."""
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._action)

    def stop(self) -> None:
        """End it; it may be started again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with limits of time and number."""

    def __init__(self, *arguments: Any, open_connections: OpenConnections, **named: Any) -> None:
        """The arguments are uvicorn's."""
        super().__init__(*arguments, **named)
        self._all = open_connections
        self._for_headers = _Countdown(self.loop, self._no_headers)
        self._for_response = _Countdown(self.loop, self._response_not_taken)

    @property
    def host(self) -> str:
        """Address of the client."""
        return self.client[0] if self.client else ""

    @property
    def is_waiting(self) -> bool:
        """Whether no request is in work: none has begun, its headers are not complete, or its response is sent."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return is_idle and self.transport.get_write_buffer_size() == 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._all.add(self)
        self._for_headers.start(self._all.header_seconds)

    def data_received(self, data: bytes) -> None:
        """Read; the time for headers begins with their first byte, and ends with their last."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._for_headers.start(self._all.header_seconds)
        else:
            self._for_headers.stop()

    def on_response_complete(self) -> None:
        """Wait for the next request, for as long as uvicorn keeps a connection alive."""
        self._all.move_to_end(self)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for a client that takes its response slowly."""
        super().pause_writing()
        self._for_response.start(RESPONSE_SECONDS)

    def resume_writing(self) -> None:
        """Go on: it has taken most of it."""
        super().resume_writing()
        self._for_response.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._all.discard(self)
        self._for_headers.stop()
        self._for_response.stop()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or has headers that are too large."""
        self._all.on_closed("not_http")
        super().send_400_response(msg)

    def _no_headers(self) -> None:
        self._all.on_closed("header_timeout")
        if self.conn.trailing_data[0]:  # who sent nothing would take an answer for that to the next request
            self.transport.write(TIMED_OUT)
        self.transport.close()

    def _response_not_taken(self) -> None:
        self._all.on_closed("response_not_taken")
        self.transport.abort()
