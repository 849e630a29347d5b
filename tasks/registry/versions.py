"""Versions of the registered model: listing and finding them."""

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
from tasks.runtime.safe_text.identifiers import SHA256, matching
from tasks.runtime.safe_text.terminal import printable
from tasks.runtime.tracking.mlflow_delivery import MAX_TAG_LENGTH, mlflow_client, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER: Final = "challenger"
CHAMPION: Final = "champion"
DIGEST_TAG: Final = "package.digest"
NAME: Final = re.compile(rf"(?:models:/{MODEL}(?=[/@]))?(?:/?(?P<number>[0-9]+)|@?(?P<alias>[a-zA-Z][\w.-]*))")
"""3, champion, @champion, models:/coronet/3, models:/coronet@champion."""
UNREACHABLE: Final = "failed with exception"
"""Text in MLflow's errors when its server is unreachable."""
BUSY: Final = "TEMPORARILY_UNAVAILABLE"
"""MLflow's code for a store that is locked, or does not answer."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of the registered model."""

    number: int
    digest: str
    """Digest of its package."""
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    """Lineage and figures, from `tasks.registry.version_lineage`."""
    run_id: str | None
    """Id of the MLflow run that registered it."""
    created: datetime

    @property
    def uri(self) -> str:
        """The URI by which MLflow loads it."""
        return f"models:/{MODEL}/{self.number}"


@contextmanager
def registry() -> Iterator["MlflowClient"]:
    """Yield a client of the registry and convert its errors to this project's.

    Raises TransientError if MLflow cannot be reached, CoroNetError for any other error of MLflow.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield mlflow_client()
    except MlflowException as error:
        reason = f"MLflow ({tracking_uri()}): {first_words(error, 300)}"
        if UNREACHABLE in str(error) or error.error_code == BUSY:
            raise TransientError(f"{reason}. Start the server, or correct MLFLOW_TRACKING_URI.") from error
        raise CoroNetError(reason) from error


def all_versions() -> list[Version]:
    """Return all versions with a package, oldest first; versions with a damaged digest are skipped with a warning.

    One damaged version must not hide the others.
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
    """Return MLflow's entities of all versions with a package, oldest first, and the version number of each alias."""
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

    Raises DataError, which lists the existing versions, if there is none.
    """
    wanted = NAME.fullmatch(name.strip())
    if wanted is None:
        raise DataError(f"{name}: not a version name. {_existing_versions()}")
    number, alias = wanted["number"], wanted["alias"]
    found = _by_alias(alias) if number is None else _by_number(int(number))
    if found is None:
        raise DataError(f"{name}: no such version of {MODEL}. {_existing_versions()}")
    return found


def champion() -> Version | None:
    """Return the champion, None if no version was promoted yet."""
    return _by_alias(CHAMPION)


def tag_version(version: Version, values: Mapping[str, str]) -> None:
    """Set tags of `version`; values that are too long for MLflow are cut."""
    with registry() as client:
        for key, value in values.items():
            client.set_model_version_tag(MODEL, str(version.number), key, value[:MAX_TAG_LENGTH])


def _by_number(number: int) -> Version | None:
    """Return the version with this number. Raises DataError if its digest is damaged."""
    entities, aliases = _entities()
    return next((_version(one, aliases) for one in entities if int(one.version) == number), None)


def _by_alias(alias: str) -> Version | None:
    """Return the version with this alias. Raises DataError if its digest is damaged."""
    entities, aliases = _entities()
    return next((_version(one, aliases) for one in entities if str(one.version) == str(aliases.get(alias))), None)


def _existing_versions() -> str:
    versions = all_versions()
    if not versions:
        return f"The registry at {tracking_uri()} has no versions: train networks (`coronet run`) and register them."
    names = [" ".join([str(version.number), *(f"@{alias}" for alias in version.aliases)]) for version in versions]
    return f"Existing versions: {', '.join(names)}."


def _version(found: "ModelVersion", aliases: Mapping[str, str]) -> Version:
    """Convert MLflow's entity. Raises DataError if the digest, which becomes a folder name here, is damaged."""
    return Version(
        number=int(found.version),
        digest=matching(SHA256, found.tags[DIGEST_TAG], f"models:/{MODEL}/{found.version}: tag {DIGEST_TAG}"),
        aliases=tuple(sorted(alias for alias, number in aliases.items() if number == found.version)),
        tags=dict(found.tags),
        run_id=found.run_id,
        created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )
