"""Versions of the registered model: which there are, and how they are named."""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from coronet_core.support.credentials import first_words
from coronet_core.support.errors import CoroNetError, DataError, TransientError
from tasks.registry.model_name import MODEL
from tasks.runtime.external_text import SHA256, matching, printable
from tasks.runtime.tracking.mlflow_delivery import MAX_TAG_LENGTH, mlflow_client, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
DIGEST_TAG: Final = "package.digest"
NAME: Final = re.compile(rf"(?:models:/{MODEL}(?=[/@]))?(?:/?(?P<number>[0-9]+)|@?(?P<alias>[a-zA-Z][\w.-]*))")
"""3, champion, @champion, models:/coronet/3, models:/coronet@champion."""
UNREACHABLE: Final = ("failed with exception", "TEMPORARILY_UNAVAILABLE")
"""What MLflow's errors say when its server is away."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the registered model."""

    number: int
    digest: str
    """Of its package."""
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    """Where it comes from and what it scores; `tasks.registry.version_lineage` gives them."""
    run_id: str | None
    """MLflow's, of the run that registered it."""
    created: datetime

    @property
    def uri(self) -> str:
        """The address by which MLflow loads it."""
        return f"models:/{MODEL}/{self.number}"


@contextmanager
def registry() -> Iterator["MlflowClient"]:
    """Have a client of the registry; what it raises is told as this project's errors.

    Raises TransientError when MLflow cannot be reached, CoroNetError for anything else that it refuses.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield mlflow_client()
    except MlflowException as error:
        reason = f"MLflow ({tracking_uri()}): {first_words(error, 300)}"
        if any(word in str(error) for word in UNREACHABLE):
            raise TransientError(f"{reason}. Start the server, or correct MLFLOW_TRACKING_URI.") from error
        raise CoroNetError(reason) from error


def all_versions() -> list[Version]:
    """Return all versions that hold a package, oldest first; one with a damaged digest is passed over with a warning.

    The others must be found all the same: a version of them is asked for, or takes its place.
    """
    entities, aliases = _entities()
    versions = []
    for entity in entities:
        try:
            versions.append(_version(entity, aliases))
        except DataError as error:
            print(printable(f"warning: {error}"), file=sys.stderr)
    return versions


def _entities() -> tuple[list["ModelVersion"], dict[str, str]]:
    """Return what MLflow has of all versions with a package, oldest first, and the number that each alias names."""
    with registry() as client:
        models = client.search_registered_models(f"name='{MODEL}'")
        found, token = list["ModelVersion"](), None
        while True:
            page = client.search_model_versions(f"name='{MODEL}'", page_token=token)
            found += [one for one in page if DIGEST_TAG in one.tags]
            if not (token := page.token):
                break
    return sorted(found, key=lambda one: int(one.version)), dict(models[0].aliases) if models else {}


def find_version(name: str) -> Version:
    """Return the version called `name`: `3`, `champion`, `@champion`, `models:/coronet/3`, `models:/coronet@champion`.

    Raises DataError, with those that there are, if there is no such one.
    """
    wanted = NAME.fullmatch(name.strip())
    if wanted is None:
        raise DataError(f"{name}: no name of a version. {_there_are()}")
    number, alias = wanted["number"], wanted["alias"]
    found = _by_alias(alias) if number is None else _by_number(int(number))
    if found is None:
        raise DataError(f"{name}: no such version of {MODEL}. {_there_are()}")
    return found


def champion() -> Version | None:
    """Return the version that answers, None if none was promoted yet."""
    return _by_alias(CHAMPION)


def tag_version(version: Version, values: Mapping[str, str]) -> None:
    """Set tags of `version`; a text that MLflow would not take as a whole is cut."""
    with registry() as client:
        for key, value in values.items():
            client.set_model_version_tag(MODEL, str(version.number), key, value[:MAX_TAG_LENGTH])


def _by_number(number: int) -> Version | None:
    """Return the version of this number. Raises DataError if its digest is none."""
    entities, aliases = _entities()
    return next((_version(one, aliases) for one in entities if int(one.version) == number), None)


def _by_alias(alias: str) -> Version | None:
    """Return the version of this alias. Raises DataError if its digest is none."""
    entities, aliases = _entities()
    return next((_version(one, aliases) for one in entities if str(one.version) == str(aliases.get(alias))), None)


def _there_are() -> str:
    versions = all_versions()
    if not versions:
        return f"The registry at {tracking_uri()} has none: train networks (`coronet run`) and register them."
    told = [" ".join([str(version.number), *(f"@{alias}" for alias in version.aliases)]) for version in versions]
    return f"There are: {', '.join(told)}."


def _version(found: "ModelVersion", aliases: Mapping[str, str]) -> Version:
    """Return the version that MLflow's entity is. Its digest names folders here. Raises DataError if it is none."""
    return Version(
        number=int(found.version),
        digest=matching(SHA256, found.tags[DIGEST_TAG], f"models:/{MODEL}/{found.version}: tag {DIGEST_TAG}"),
        aliases=tuple(sorted(alias for alias, number in aliases.items() if number == found.version)),
        tags=dict(found.tags),
        run_id=found.run_id,
        created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )
