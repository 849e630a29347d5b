"""The promotion log: every decision with version, time, user and reasons. Lines are added and never changed.

The team shares it as tags of the registered versions: each line is a tag with its own key, so writers cannot overwrite
each other's lines. `promotions.jsonl` in the project's folder has the lines that were written from there.
"""

import getpass
import json
import os
import socket
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, Self

from filelock import FileLock
from pydantic import TypeAdapter

from coronet_core.support.errors import TransientError
from tasks.registry.versions import Version, tag_version
from tasks.runtime.files import nulls_for_nan
from tasks.runtime.paths import STATE
from tasks.runtime.progress import log
from tasks.runtime.tracking.mlflow_delivery import MAX_TAG_LENGTH

LOG: Final = Path("promotions.jsonl")
LOCK: Final = STATE / "promotions.lock"
MAX_SHOWN: Final = 200
"""Maximum length of the error shown for an unreadable line."""
KEY: Final = "promotion.log."
"""Prefix of the tags with log lines; followed by the time and a random suffix."""
DECIDED: Final = "promotion"
DECIDED_AT: Final = f"{DECIDED}.time"
"""Tag with the event of the last line about a version."""

Event = Literal["passed", "refused", "declined", "promoted", "overtaken", "rolled back"]


def this_user() -> str:
    """Return user and host of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without a name for its user
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"  # MLflow's keys take no plus sign


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the log."""

    event: Event
    """The gate passed or refused the version; a user declined it; it was promoted; another version was promoted first
    (overtaken); it was rolled back."""
    version: int
    before: int | None
    """The previous champion, None if there was none."""
    after: int | None
    reasons: list[str]
    """In plain sentences."""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    by: str = field(default_factory=this_user)
    time: str = field(default_factory=_now)
    """In UTC, ISO 8601."""

    def as_json(self) -> str:
        """Return the line as JSON."""
        return json.dumps(nulls_for_nan(asdict(self)), allow_nan=False, ensure_ascii=False)

    @classmethod
    def of_json(cls, text: str) -> Self:
        """Return the line from the output of `as_json`. Raises ValueError for any other text."""
        return TypeAdapter(cls).validate_json(text)

    def as_tag(self) -> dict[str, str]:
        """Return the line as a tag of the version; one that is too long loses its figures, and its reasons are cut."""
        line, longest = self, MAX_TAG_LENGTH
        while len(text := line.as_json()) > MAX_TAG_LENGTH and longest:
            longest //= 2
            line = replace(self, figures={}, reasons=[reason[:longest] for reason in self.reasons])
        return {f"{KEY}{self.time}.{uuid.uuid4().hex[:8]}": text}


def append(line: Line) -> None:
    """Add `line` to the log of this folder, atomically among concurrent writers, and flush it to disk."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(LOCK), os.fdopen(os.open(LOG, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644), "rb+") as file:
        begins_a_line = file.seek(0, os.SEEK_END) == 0 or os.pread(file.fileno(), 1, file.tell() - 1) == b"\n"
        after = b"" if begins_a_line else b"\n"  # a killed writer left a truncated line
        file.write(after + line.as_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def write(version: Version, line: Line) -> None:
    """Write a `line` about `version`, first to the local file, so that it is kept if the server fails.

    Raises TransientError if the registry does not accept it.
    """
    append(line)
    summary = {
        DECIDED: line.event,
        f"{DECIDED}.reasons": "\n".join(line.reasons),
        f"{DECIDED}.by": line.by,
        DECIDED_AT: line.time,
    }
    try:
        tag_version(version, summary | line.as_tag())
    except TransientError as error:
        message = f"version {version.number}: '{line.event}' is in {LOG} only, as the registry did not accept its tags"
        raise TransientError(f"{message}. What it says holds: do not repeat it. {error}") from error


def lines_of(tags_of_versions: Iterable[Mapping[str, str]]) -> list[Line]:
    """Return the lines in the tags of all versions, oldest first; unreadable ones are skipped with a warning."""
    texts = {key: text for tags in tags_of_versions for key, text in tags.items() if key.startswith(KEY)}
    lines = []
    for key in sorted(texts):
        try:
            lines.append(Line.of_json(texts[key]))
        except ValueError as error:  # a rollback must not fail because of it
            log(f"warning: {key}: not a line of the promotion log ({' '.join(str(error).split())[:MAX_SHOWN]})")
    return lines


def former_champions(lines: Iterable[Line], champion: int) -> list[int]:
    """Return the champions before `champion` that have not been rolled back, oldest first.

    A champion that is not in the log, as it was set by hand, comes after all that are. Each promotion also tells the
    champion that it found: so one whose own line was lost is known, and a rollback whose line was lost.
    """
    stack: list[int] = []
    for line in lines:
        if line.event == "promoted" and line.after is not None:
            if line.before is not None:
                stack = [*_before(line.before, stack), line.before]
            stack.append(line.after)
        elif line.event == "rolled back" and line.after is not None:
            stack = [*_before(line.after, stack), line.after]
    return _before(champion, stack)


def _before(version: int, stack: list[int]) -> list[int]:
    return stack[: len(stack) - 1 - stack[::-1].index(version)] if version in stack else stack
