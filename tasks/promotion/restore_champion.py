"""Going back to the champion before this one."""

from dataclasses import dataclass

from coronet_core.support.errors import CoroNetError
from tasks.promotion.promotion_log import Line, former_champions, lines_of, write
from tasks.registry.champions import set_champion
from tasks.registry.versions import Version, all_versions, champion


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A champion that was taken back, and the one in its place."""

    removed: Version
    restored: Version


def roll_back(reason: str, by: str) -> Rollback:
    """Make the champion before this one champion again; `reason` is written down.

    Raises CoroNetError without a reason, a champion or one before it, or if another promotion came in between.
    """
    if not reason.strip():
        raise CoroNetError("a rollback needs a reason: say what is wrong with the champion.")
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
    """Return the champion and the one before it, which a rollback would exchange. Raises CoroNetError without them."""
    removed = champion()
    if removed is None:
        raise CoroNetError("there is no champion: nothing to roll back. `coronet models list` shows the versions.")
    return Rollback(removed=removed, restored=_former_champion(removed))


def _former_champion(removed: Version) -> Version:
    """Return the last champion before `removed` that has not been rolled back and still exists."""
    versions = {version.number: version for version in all_versions()}
    lines = lines_of(version.tags for version in versions.values())
    former = [number for number in former_champions(lines, removed.number) if number in versions]
    if not former:
        raise CoroNetError(
            f"version {removed.number} is the first champion on record: there is none to go back to. Promote another "
            "version with `coronet promote VERSION`."
        )
    return versions[former[-1]]
