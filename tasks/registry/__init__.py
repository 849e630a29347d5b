"""The registry of models in MLflow: packages are registered as versions, and one of them is the champion."""

from tasks.registry.champions import set_champion
from tasks.registry.fetching import fetch
from tasks.registry.registration import register
from tasks.registry.versions import Version, champion, find_version, tag_version

__all__ = ["Version", "champion", "fetch", "find_version", "register", "set_champion", "tag_version"]
