"""Judging a registered version by the gate, and promoting it to champion.

Every step is a line of the promotion log, here and as a tag of the version; the tags `promotion`, `promotion.reasons`,
`promotion.by` and `promotion.time` have the last decision about it.
"""

from dataclasses import dataclass, replace
from typing import Final

import torch

from tasks.promotion.champion_challenger import comparison_with
from tasks.promotion.gate import Decision, decide
from tasks.promotion.promotion_log import DECIDED, Event, Line, this_user, write
from tasks.promotion.run_reports import Evidence
from tasks.registry.champion_alias import ChampionChangedError, set_champion
from tasks.registry.fetching import fetch
from tasks.registry.versions import Version, all_versions, champion
from tasks.runtime.params.schema import Params

NO_ALIAS: Final = (
    "No version has the alias champion now, though some were promoted: the champion was deleted, or lost its alias."
)


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The gate's decision on a version, and the champion that it was compared with."""

    version: Version
    champion: Version | None
    decision: Decision

    def line(self, event: Event, reasons: list[str], by: str, after: Version | None) -> Line:
        """Return the log line for `event`."""
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
    """Judge `version` against the current champion by `params.promotion`; networks run on `device`.

    Raises DataError if its reports, or the champion's predictions for its test images, cannot be found.
    """
    current = champion()
    evidence = Evidence.of_package(version.number, fetch(version))
    candidate, comparison = evidence.candidate(), None
    if current is not None:
        package = fetch(current)
        of_champion = Evidence.of_package(current.number, package)
        comparison = comparison_with(of_champion, package, evidence, params, device)
    decision = decide(candidate, comparison, params.promotion)
    if current is None and any(one.tags.get(DECIDED) == "promoted" for one in all_versions()):
        decision = replace(decision, notes=(*decision.notes, NO_ALIAS))
    judgement = Judgement(version=version, champion=current, decision=decision)
    event: Event = "passed" if decision.passed else "refused"
    write(version, judgement.line(event, [*decision.reasons, *decision.notes], this_user(), current))
    return judgement


def promote(judgement: Judgement, by: str, comment: str = "") -> None:
    """Make a version that passed the gate the champion.

    Raises ChampionChangedError if the champion changed meanwhile, other errors as the registry does.
    """
    version = judgement.version
    try:
        set_champion(version, expected=judgement.champion)
    except ChampionChangedError as error:
        write(version, judgement.line("overtaken", [str(error)], by, champion()))
        raise
    decision = judgement.decision
    reasons = [*decision.reasons, *decision.notes, *filter(None, [comment])]
    write(version, judgement.line("promoted", reasons, by, version))


def decline(judgement: Judgement, by: str, reason: str) -> None:
    """Log that a version that passed the gate is not promoted, and why."""
    write(judgement.version, judgement.line("declined", [reason], by, judgement.champion))


def _number(version: Version | None) -> int | None:
    return None if version is None else version.number
