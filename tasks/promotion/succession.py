"""Who is champion: judging a registered version, promoting it, and going back to the one before.

Every step is a line of the promotion log, here and as a tag of the version; the tags `promotion`, `promotion.reasons`,
`promotion.by` and `promotion.time` say what was decided last of it.
"""

from dataclasses import dataclass
from typing import Final

import torch

from coronet_core.errors import CoroNetError, TransientError
from tasks.params.schema import Params
from tasks.promotion.contest import comparison_with
from tasks.promotion.evidence import Evidence
from tasks.promotion.gate import Decision, decide
from tasks.promotion.log import LOG, Event, Line, append, former_champions, lines_of, this_user
from tasks.registry.champions import set_champion
from tasks.registry.fetching import fetch
from tasks.registry.versions import Version, all_versions, champion, tag_version

DECIDED: Final = "promotion"
"""Tag with the event of the last line about a version."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the gate says of a version, and of whom it was champion's challenger then."""

    version: Version
    champion: Version | None
    decision: Decision

    def line(self, event: Event, reasons: list[str], by: str, after: Version | None) -> Line:
        """Return the line of the log that says that `event` has come of this."""
        return Line(
            event=event,
            version=self.version.number,
            before=_number(self.champion),
            after=_number(after),
            reasons=reasons,
            figures=self.decision.figures,
            by=by,
        )


def judge(version: Version, params: Params, device: torch.device) -> Judgement:
    """Judge `version` against the champion of this moment, by `params.promotion`; networks run on `device`.

    Raises DataError if its reports or what the champion says of its test images cannot be had.
    """
    reigning = champion()
    evidence = Evidence.of_package(version.number, fetch(version))
    candidate, comparison = evidence.candidate(), None
    if reigning is not None:
        package = fetch(reigning)
        of_champion = Evidence.of_package(reigning.number, package)
        comparison = comparison_with(of_champion, package, evidence, params, device)
    decision = decide(candidate, comparison, params.promotion)
    judgement = Judgement(version=version, champion=reigning, decision=decision)
    event: Event = "passed" if decision.passed else "refused"
    _write(version, judgement.line(event, [*decision.reasons, *decision.notes], this_user(), reigning))
    return judgement


def promote(judgement: Judgement, by: str, comment: str = "") -> None:
    """Make a version that has passed the champion. Raises CoroNetError if another one became champion meanwhile."""
    version = judgement.version
    try:
        set_champion(version, expected=judgement.champion)
    except TransientError:
        raise
    except CoroNetError as error:
        _write(version, judgement.line("overtaken", [str(error)], by, champion()))
        raise
    decision = judgement.decision
    reasons = [*decision.reasons, *decision.notes, *filter(None, [comment])]
    _write(version, judgement.line("promoted", reasons, by, version))


def decline(judgement: Judgement, by: str, reason: str) -> None:
    """Write down that a version that has passed is not promoted, and why."""
    _write(judgement.version, judgement.line("declined", [reason], by, judgement.champion))


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
    removed = champion()
    if removed is None:
        raise CoroNetError("there is no champion: nothing to roll back.")
    restored = _former_champion(removed)
    set_champion(restored, expected=removed)
    line = Line(
        event="rolled back",
        version=removed.number,
        before=removed.number,
        after=restored.number,
        reasons=[reason.strip()],
        by=by,
    )
    _write(removed, line)
    return Rollback(removed=removed, restored=restored)


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


def _write(version: Version, line: Line) -> None:
    """Write `line` down, first here: a server that goes away now leaves it on record.

    Raises TransientError when the registry does not take it.
    """
    append(line)
    summary = {
        DECIDED: line.event,
        f"{DECIDED}.reasons": "\n".join(line.reasons),
        f"{DECIDED}.by": line.by,
        f"{DECIDED}.time": line.time,
    }
    try:
        tag_version(version, summary | line.as_tag())
    except TransientError as error:
        told = f"version {version.number}: '{line.event}' is in {LOG} alone, as the registry did not take its tags"
        raise TransientError(f"{told}. {error}") from error


def _number(version: Version | None) -> int | None:
    return None if version is None else version.number
