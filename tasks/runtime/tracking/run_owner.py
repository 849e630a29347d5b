"""The process that a run belongs to, distinguished from every other: on this host, on another, and of the same number.

A process id means something only within one boot of one system, and is given again there. So the host's name, the boot
with its space of process ids, and the time from boot to start go with it.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

import psutil

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
PROCESS_IDS: Final = Path("/proc/self/ns/pid")
TAG: Final = "coronet.process."
"""Beginning of the tags that hold an owner in MLflow."""
TOLERANCE_S: Final = 1.5
"""The boot time is known to the second."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """A process that records runs."""

    host: str
    system: str
    """The boot, and the space of process ids: a container has its own."""
    pid: int
    started_s: float
    """Seconds from boot to its start: the clock may be set meanwhile."""

    @classmethod
    def this_process(cls) -> Self:
        """Return this process."""
        pid = os.getpid()
        return cls(host=socket.gethostname(), system=_system(), pid=pid, started_s=_started_s(psutil.Process(pid)))

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> Self | None:
        """Return the owner that the tags of a run name, None if they name none."""
        try:
            found = {name: tags[TAG + name] for name in ("host", "system", "pid", "started_s")}
            return cls(
                host=found["host"], system=found["system"], pid=int(found["pid"]), started_s=float(found["started_s"])
            )
        except (KeyError, ValueError):
            return None

    def as_tags(self) -> dict[str, str]:
        """Return the tags that name it."""
        return {TAG + name: str(value) for name, value in asdict(self).items()}

    @property
    def is_of_this_host(self) -> bool:
        """Whether it is or was a process of this host."""
        return self.host == socket.gethostname()

    @property
    def is_this_process(self) -> bool:
        """Whether it is the process that asks."""
        return self.pid == os.getpid() and self._is_of_this_system and self._lives()

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended: of another system, or of an earlier boot, nothing is known."""
        return self._is_of_this_system and not self._lives()

    @property
    def _is_of_this_system(self) -> bool:
        return self.is_of_this_host and self.system == _system()

    def _lives(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            is_same = abs(_started_s(process) - self.started_s) <= TOLERANCE_S
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:  # there, and somebody else's
            return True


def _started_s(process: psutil.Process) -> float:
    return round(process.create_time() - psutil.boot_time(), 2)


def _system() -> str:
    try:
        return f"{BOOT.read_text().strip()}/{PROCESS_IDS.readlink()}"
    except OSError:  # no Linux
        return f"{psutil.boot_time():.0f}"
