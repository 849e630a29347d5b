"""The champion's alias, moved by one at a time.

MLflow sets an alias for whoever asks last. What it does one after another, on any database, is numbering the versions
of a model. So each change is first entered as a version of a model of its own, `coronet-champions`: whoever finds its
entry right behind the last one that it had seen has won, all others have lost. The entries are a history, too.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from coronet_core.support.errors import CoroNetError, DataError
from tasks.registry.names import MODEL
from tasks.registry.versions import CHALLENGER, CHAMPION, Version, champion, find_version, registry

if TYPE_CHECKING:
    from mlflow import MlflowClient

TURNS: Final = f"{MODEL}-champions"
"""The registered model whose versions are the changes of champion."""
BEHIND_TAG: Final = "behind"
"""Number of the entry that was the last one when this one was made; 0 if there was none."""
VERSION_TAG: Final = "champion"
DONE_TAG: Final = "done"
"""Set when the alias has been moved."""


@dataclass(frozen=True)
class Turn:
    """An entry of the history of champions."""

    number: int
    behind: int
    version: int
    is_done: bool

    @property
    def has_won(self) -> bool:
        """Whether nobody came in between."""
        return self.number == self.behind + 1


def set_champion(version: Version, expected: Version | None) -> None:
    """Make `version` the champion in place of `expected`, None if there was none; it is a challenger no longer.

    Raises CoroNetError, and changes nothing, when another one is the champion or becomes it meanwhile.
    """
    with registry() as client:
        last = _last_turn(client)
        if last is not None and last.has_won and not last.is_done:  # its process was killed, or is about to do it
            _finish(client, last)
        _check(champion(), expected)
        seen = 0 if last is None else last.number
        made = client.create_model_version(
            TURNS,
            version.uri,
            tags={BEHIND_TAG: str(seen), VERSION_TAG: str(version.number)},
            description=f"version {version.number} instead of {'none' if expected is None else expected.number}",
        )
        turn = Turn(int(made.version), seen, version.number, is_done=False)
        if not turn.has_won:
            raise CoroNetError("another promotion or rollback came first. Look at the champion again, then decide.")
        _finish(client, turn)


def _check(current: Version | None, expected: Version | None) -> None:
    numbers = [None if version is None else version.number for version in (current, expected)]
    if numbers[0] != numbers[1]:
        is_now, was = ("nobody" if number is None else f"version {number}" for number in numbers)
        raise CoroNetError(f"the champion is {is_now}, not {was}: it changed meanwhile. Look at it, then decide again.")


def _last_turn(client: "MlflowClient") -> Turn | None:
    """Return the last entry; the model for them is made where there is none yet."""
    if not client.search_registered_models(f"name='{TURNS}'"):
        with suppress(CoroNetError), registry():  # another process makes it
            client.create_registered_model(TURNS, description=f"Each version is a change of champion of {MODEL}.")
    newest = client.search_model_versions(f"name='{TURNS}'", order_by=["version_number DESC"], max_results=1)
    if not newest:
        return None
    number, tags = newest[0].version, newest[0].tags
    try:
        return Turn(int(number), int(tags[BEHIND_TAG]), int(tags[VERSION_TAG]), DONE_TAG in tags)
    except (KeyError, ValueError) as error:
        told = f"{BEHIND_TAG} and {VERSION_TAG} are no numbers. Correct them, or delete this version of {TURNS}."
        raise DataError(f"models:/{TURNS}/{number}: the tags {told}") from error


def _finish(client: "MlflowClient", turn: Turn) -> None:
    client.set_registered_model_alias(MODEL, CHAMPION, str(turn.version))
    if CHALLENGER in find_version(str(turn.version)).aliases:
        client.delete_registered_model_alias(MODEL, CHALLENGER)
    client.set_model_version_tag(TURNS, str(turn.number), DONE_TAG, "true")
