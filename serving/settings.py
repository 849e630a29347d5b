"""Settings of the service."""

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from coronet_core.support.errors import ParamsError

MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """Limits and habits of the service. Raises ParamsError for all values that are out of range, at once."""

    batch_images: int = 4
    """Images that go through the networks together, at most. Memory goes by it (decision 0039)."""
    batch_wait_ms: float = 4.0
    """How long the first image of a batch waits for others while the networks are idle."""
    queue_images: int = 64
    """Images that may wait for the networks; beyond them requests get 503."""
    requests_at_once: int = 32
    """Requests with uploads that may be in work, half of them of one client; beyond them 503. Times `upload_mib`, what
    uploads take in memory."""
    upload_mib: float = 64.0
    """Largest body of a request; beyond it 413."""
    decode_megapixels: float = 320.0
    """That may be decoded or wait for it at once, four of the largest images; beyond them 503, in one request 413."""
    decode_seconds: float = 20.0
    """Computing time for the decoding of one image; beyond it the image is refused."""
    upload_seconds: float = 60.0
    """In which a body must have arrived; beyond them 408."""
    files: int = 16
    """Files in one request; beyond them 413."""
    rate: str = "600/minute"
    """Uploads of one client; beyond them 429."""
    connections: int = 1000
    """Open connections; beyond them the one that has waited longest for a request is closed."""
    connections_per_client: int = 128
    """Open connections of one address, a proxy's aside."""
    header_seconds: float = 10.0
    """In which the headers of a request must have arrived; beyond them 408."""
    explain_queue: int = 4
    """Explanations that may wait; beyond them 503."""
    explain_seconds: float = 30.0
    """That one explanation may take; beyond them it is given up with 503."""
    alias_seconds: float = 30.0
    """Between two looks at which version an alias of the registry means."""
    keep: Path | None = None
    """Folder for uploaded images, called by their hashes; None keeps none."""
    verdicts: Path | None = None
    """CSV to which verdicts of readers are appended; None stores none."""
    hosts: tuple[str, ...] = ()
    """Names besides those of this machine's loopback by which the service may be called (header `Host`)."""
    keys: tuple[str, ...] = field(default=(), repr=False)
    """API keys, one of which a request must carry; without any the service asks for none."""
    log_requests: bool = True
    """A line of JSON on standard output for each request."""

    def __post_init__(self) -> None:
        faults = [f"{name} = {value}: allowed: {allowed}" for name, value, allowed in self._faults()]
        if faults:
            raise ParamsError("\n".join(faults))

    def _faults(self) -> list[tuple[str, Any, str]]:
        wrong: list[tuple[str, Any, str]] = []
        for one in fields(self):
            value = getattr(self, one.name)
            if one.type is int and value < 1:
                wrong.append((one.name, value, "1 or more"))
            if one.type is float and not (0 < value < math.inf or (value == 0 and one.name == "batch_wait_ms")):
                wrong.append((one.name, value, "a number above 0" if one.name != "batch_wait_ms" else "0 or more"))
        if self.files > self.queue_images:
            wrong.append(("files", self.files, f"at most queue_images ({self.queue_images}), or a request never fits"))
        try:
            parse_rate(self.rate)
        except ValueError:
            wrong.append(("rate", self.rate, "a number and a time, such as 600/minute or 10/second"))
        return wrong

    @property
    def upload_bytes(self) -> int:
        """Largest body of a request."""
        return int(self.upload_mib * MIB)


def parse_rate(text: str) -> Any:
    """Return the limit that `text` names, as the library `limits` has it. Raises ValueError."""
    from limits import parse

    return parse(text)
