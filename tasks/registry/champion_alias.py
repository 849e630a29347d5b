"""Moving the champion's alias from one version to another.

MLflow has no conditional update of an alias: the last writer wins. So the champion is compared with the expected one
before, and read again afterwards. A lock serialises the promotions and rollbacks of one project.
"""

from typing import Final

from filelock import FileLock

from coronet_core.support.errors import CoroNetError
from tasks.registry.model_name import MODEL
from tasks.registry.versions import CHALLENGER, CHAMPION, Version, champion, registry
from tasks.runtime.paths import STATE

LOCK: Final = STATE / "champion.lock"


class ChampionChangedError(CoroNetError):
    """Another version has become the champion meanwhile."""


def set_champion(version: Version, expected: Version | None) -> None:
    """Make `version` the champion in place of `expected` (None: no champion) and remove its challenger alias.

    Raises ChampionChangedError, and changes nothing, if another version is the champion; also if one becomes it
    meanwhile. Raises CoroNetError, or TransientError, if MLflow refuses or does not answer.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(LOCK), registry() as client:
        _check(champion(), expected)
        client.set_registered_model_alias(MODEL, CHAMPION, str(version.number))
        _check(champion(), version)
        concerned = {str(one.number) for one in (version, expected) if one}
        # a champion still has the challenger alias if its promotion was killed here
        if str(client.get_registered_model(MODEL).aliases.get(CHALLENGER)) in concerned:
            client.delete_registered_model_alias(MODEL, CHALLENGER)


def _check(current: Version | None, expected: Version | None) -> None:
    numbers = [None if version is None else version.number for version in (current, expected)]
    if numbers[0] != numbers[1]:
        is_now, was = ("none" if number is None else f"version {number}" for number in numbers)
        raise ChampionChangedError(
            f"the champion is {is_now}, not {was}: it changed meanwhile. Check it, then try again."
        )
