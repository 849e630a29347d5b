"""Rollback to the previous champion."""

from dataclasses import dataclass
from typing import Final

from coronet_core.support.errors import CoroNetError
from tasks.promotion.promotion_log import Line, former_champions, lines_of, write
from tasks.registry.champion_alias import set_champion
from tasks.registry.versions import Version, all_versions, champion

NOBODY: Final = 0
"""No version has this number."""


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """The champion that was removed, and the previous one that replaces it."""

    removed: Version
    restored: Version


def roll_back(reason: str, by: str) -> Rollback:
    """Make the previous champion the champion again and log the `reason`.

    Raises CoroNetError if there is no reason, champion or previous champion, or if the champion changed meanwhile.
    """
    if not reason.strip():
        raise CoroNetError("a rollback needs a reason: state what is wrong with the champion.")
    found = champions()
    set_champion(found.restored, expected=found.removed)
    line = Line(
        event="rolled back",
        version=found.removed.number,
        before=found.removed.number,
        after=found.restored.number,
        reasons=[reason.strip()],
        by=by,
    )
    write(found.removed, line)
    return found


def champions() -> Rollback:
    """Return the champion and the previous one. Raises CoroNetError if either is missing."""
    removed = champion()
    if removed is None:
        raise CoroNetError(f"there is no champion: nothing to roll back. {_remedy()}")
    return Rollback(removed=removed, restored=_former_champion(removed))


def _remedy() -> str:
    """Return what to do where no version is the champion: one may have been, and was deleted."""
    versions = {version.number: version for version in all_versions()}
    lines = lines_of(version.tags for version in versions.values())
    former = [number for number in former_champions(lines, NOBODY) if number in versions]
    if not former:
        return "`coronet models list` shows the versions."
    return f"The last one on record that still exists is version {former[-1]}: `coronet promote {former[-1]}`."


def _former_champion(removed: Version) -> Version:
    """Return the latest champion before `removed` that was not rolled back and still exists."""
    versions = {version.number: version for version in all_versions()}
    lines = lines_of(version.tags for version in versions.values())
    former = [number for number in former_champions(lines, removed.number) if number in versions]
    if not former:
        raise CoroNetError(
            f"version {removed.number} is the first champion on record: there is no previous one. Promote another "
            "version with `coronet promote VERSION`."
        )
    return versions[former[-1]]
