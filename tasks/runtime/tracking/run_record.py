"""The record of a run on this machine's disk, which is delivered to MLflow.

A run is first written down here and then sent, so a tracking server that is down costs nothing: what it has not
received stays in `.coronet/tracking/<key>` and is sent by a later stage. The owner of a record holds a lock on it for
as long as it lives; a record without an end whose lock is free belongs to a killed process. A lock says nothing of
another host that shares the folder: its records are left to it.

A run that was killed, or has failed, is kept in mind until the same work has been done: the next run of it says that it
goes on from there.
"""

import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from coronet_core.support.whole_files import put_in_place
from tasks.runtime.files import digest, write_json, write_text
from tasks.runtime.resume import set_aside
from tasks.runtime.tracking.run_owner import Owner
from tasks.runtime.tracking.temporary_folders import RECORDS

RUN_IDS = RECORDS / "run_ids"
STOPPED = RECORDS / "stopped"
"""By piece of work, its last run if that was killed or has failed."""
EVENTS = "events.jsonl"
ALIVE = "alive.lock"
BEGINNING = RECORDS / "beginning"
"""Records that do not count as abandoned yet: they have no start, or their owner has no lock."""

RUN_ID = re.compile(rb"[0-9a-f]{32}")
"""MLflow's id of a run."""

Event = dict[str, Any]


class RunRecord:
    """One run: events in the order in which they happened, and the files that belong to them."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.folder = RECORDS / key
        self._alive = FileLock(self.folder / ALIVE)

    @classmethod
    def begin(cls, work: str, params: dict[str, str], **payload: Any) -> "RunRecord":
        """Write down the start of a new run, owned by this process.

        `work` is what the run does in this folder; with the same `params` it resumes a stopped run.
        """
        record = cls(f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}")
        begun = BEGINNING / record.key
        begun.mkdir(parents=True)
        record._alive = FileLock(begun / ALIVE)
        record._alive.acquire()
        work = digest(str(Path.cwd()), work)
        own = {"owner": asdict(Owner.this_process()), "work": work, "resumes": _stopped_run(work, params)}
        _append(begun / EVENTS, "start", own | {"params": params} | payload)
        put_in_place(begun, record.folder)  # with the lock
        return record

    def append(self, kind: str, **payload: Any) -> None:
        """Write down an event, with its time in milliseconds since 1970."""
        _append(self.folder / EVENTS, kind, payload)

    def keep(self, path: Path, name: Path | None = None) -> str:
        """Keep the present content of `path` with the record, as `name` or by its own path; returns its name there.

        Stages replace their files and never rewrite them, so a hard link keeps the old content without copying it.
        """
        name = name or path
        if name.is_absolute() or ".." in name.parts:
            raise ValueError(f"{name}: artifacts are called as files below the project's folder")
        kept = self.kept(str(name))
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        try:
            os.link(path, kept)
        except OSError:  # another file system, or one without links
            shutil.copyfile(path, kept)
        return str(name)

    def keep_json(self, name: str, value: Any) -> str:
        """Keep `value` with the record as the JSON file `name`; returns its name."""
        kept = self.kept(name)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, value)
        return name

    def kept(self, name: str) -> Path:
        """Return where the file called `name` is kept."""
        return self.folder / "files" / name

    def end(self, status: str) -> None:
        """Write down the end of the run and let go of it."""
        self.write_end(status)
        self._alive.release()

    def close_if_abandoned(self) -> bool:
        """Write down the end of a run whose process was killed on this host. Says whether there was that to do."""
        if self.is_ended or (self.owner is not None and not self.owner.is_of_this_host):
            return False
        try:
            with self._alive.acquire(timeout=0):
                is_abandoned = self.start is not None and not self.is_ended  # another process may have sent all of it
                if is_abandoned:
                    self.write_end("KILLED")
        except Timeout:  # its owner lives
            return False
        if not is_abandoned and self.start is None:
            self.delete()  # the lock alone has made the folder again
        return is_abandoned

    def write_end(self, status: str) -> None:
        """Write down the end of the run, whoever owns it, and what a later run of the same work is to know."""
        self.append("end", status=status)
        start = self.start
        if start is None or "work" not in start:
            return
        note = STOPPED / start["work"]
        if status == "FINISHED":
            note.unlink(missing_ok=True)
        else:
            write_json(note, {"run": self.key, "params": digest(start["params"])})

    @property
    def is_ended(self) -> bool:
        """Whether nothing more will happen in this run."""
        return self.end_status is not None

    @property
    def end_status(self) -> str | None:
        """The status that the run has ended with, None if it has not."""
        return next((event["status"] for event in self.events() if event["kind"] == "end"), None)

    @property
    def start(self) -> Event | None:
        """The start of the run; None when the record is gone, MLflow having all of it."""
        return next((event for event in self.events() if event["kind"] == "start"), None)

    @property
    def owner(self) -> Owner | None:
        """The process that records the run; None if an earlier version wrote the record."""
        start = self.start
        return None if start is None or "owner" not in start else Owner(**start["owner"])

    @property
    def resumes(self) -> "RunRecord | None":
        """The run that this one resumes, if there is one."""
        start = self.start
        return None if start is None or start.get("resumes") is None else RunRecord(start["resumes"])

    def events(self) -> list[Event]:
        """Return all whole events: a kill may have left half of the last one, a crash of the host damaged ones."""
        path = self.folder / EVENTS
        if not path.is_file():
            return []
        lines = path.read_bytes().splitlines(keepends=True)
        return [event for line in lines if line.endswith(b"\n") and (event := _event(line)) is not None]

    @property
    def is_damaged(self) -> bool:
        """Whether it has lost its start, without which MLflow takes nothing else of it."""
        path = self.folder / EVENTS
        return path.is_file() and [event["kind"] for event in self.events()[:1]] != ["start"]

    @property
    def n_sent(self) -> int:
        """How many events MLflow has received."""
        path = self.folder / "n_sent"
        text = path.read_bytes() if path.is_file() else b""
        return int(text) if text.isdigit() else 0  # MLflow takes the same again without harm

    def set_sent(self, n_events: int) -> None:
        """Note that MLflow has received the first `n_events` events."""
        write_text(self.folder / "n_sent", str(n_events))

    @property
    def run_id(self) -> str | None:
        """MLflow's id of the run, once it has received the start."""
        path = RUN_IDS / self.key
        text = path.read_bytes() if path.is_file() else b""
        return text.decode() if RUN_ID.fullmatch(text) else None  # of a damaged one MLflow finds the run by its tag

    @property
    def parent_run_id(self) -> str | None:
        """MLflow's id of the run that this one is nested under, if there is one and MLflow has received it."""
        start = self.start
        if start is None:
            return None
        return start.get("parent_run_id") or (None if start["parent"] is None else RunRecord(start["parent"]).run_id)

    def set_run_id(self, run_id: str) -> None:
        """Note MLflow's id of the run; kept when the record is gone, for runs nested under this one."""
        write_text(RUN_IDS / self.key, run_id)

    def delete(self) -> None:
        """Delete the record: MLflow has it all."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _stopped_run(work: str, params: dict[str, str]) -> str | None:
    """Return the key of the last run of this `work` with these `params`, if it was stopped."""
    note = STOPPED / work
    try:
        found: dict[str, str] = json.loads(note.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found["run"] if found["params"] == digest(params) else None


def all_records() -> Iterator[RunRecord]:
    """Yield the records that MLflow has not received in full, oldest first. Damaged ones are set aside."""
    for path in sorted(RECORDS.glob(f"[0-9]*/{EVENTS}")):
        record = RunRecord(path.parent.name)
        if record.is_damaged:
            set_aside(record.folder, RECORDS)
        else:
            yield record


def _event(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:  # JSON's and Unicode's
        return None
    return event if isinstance(event, dict) and "kind" in event else None


def _append(path: Path, kind: str, payload: Event) -> None:
    """Write down an event behind the last whole one: a kill or a full disk may have left half of one."""
    event = {"kind": kind, "time_ms": time.time_ns() // 1_000_000, **payload}
    with path.open("ab+") as file:
        if file.tell():
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(event).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
