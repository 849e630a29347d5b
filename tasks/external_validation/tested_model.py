"""The model that is validated, and what is recorded of the run that made it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from coronet_core.support.errors import CoroNetError
from tasks.inference.model_source import REGISTRY_SCHEME, Section, load_model, local_package, section_of
from tasks.package.dvc_lock import Lock
from tasks.package.metadata import read_description
from tasks.package.package_folder import read_package
from tasks.package.recorded_files import content_of
from tasks.package.trained_model import TrainedModel
from tasks.runtime.params.checks import read_params
from tasks.runtime.progress import log

if TYPE_CHECKING:
    from tasks.registry.versions import Version

LAST_RUN: Final = "the last run of this project"
MIN_GREY_LEVELS: Final = 32
OLDEST_AGE_YEARS: Final = 89
"""As in `params/base.yaml`, for packages that do not record them."""


@dataclass(frozen=True, kw_only=True)
class TestedModel:
    """A trained model with the params and digests of its run."""

    __test__ = False  # pytest takes it for a test by its name

    name: str
    """What the model was called: a folder or a registered version."""
    model: TrainedModel
    params: Mapping[str, Any]
    """Of the stages of its run, by section."""
    md5s: Mapping[str, str]
    """DVC's digests of what they read and wrote, by path."""
    version: "Version | None" = None
    """In the registry, for a registered one."""

    @classmethod
    def of(cls, source: str | None) -> Self:
        """Return the model at `source`, as `load_model` takes it. An alias is resolved once."""
        if source is None:
            model, lock = load_model(None), Lock(Path())
            return cls(name=LAST_RUN, model=model, params=lock.all_params(), md5s=lock.md5s())
        if source.startswith(REGISTRY_SCHEME):
            from tasks.registry.fetching import fetch  # late: MLflow takes a while
            from tasks.registry.versions import find_version

            version = find_version(source)
            return cls._of_package(version.uri, fetch(version), version)
        return cls._of_package(source, local_package(source), None)

    @classmethod
    def _of_package(cls, name: str, folder: Path, version: "Version | None") -> Self:
        lineage = read_description(folder).lineage
        return cls(name=name, model=read_package(folder), params=lineage.params, md5s=lineage.data, version=version)

    @property
    def seed(self) -> int:
        """The seed of its run, 0 if that is not recorded."""
        return int(self.params.get("seed", 0))

    def data_param(self, name: str, default: Any) -> Any:
        """Return a param of the section `data` of its run, `default` if that is not recorded."""
        return self.params.get("data", {}).get(name, default)

    def section(self, name: str, schema: type[Section]) -> Section:
        """Return the section `name` of the params of its run, so that figures can be compared; else of params.yaml.

        Raises ParamsError if there is neither.
        """
        is_recorded = set(self.params.get(name, {})) > {"batch_size"}  # of `evaluate`, earlier stages have that
        remedy = "Package the networks again (`coronet run`)."
        recorded = section_of(self.params, name, schema, remedy) if is_recorded else None
        if recorded is not None:
            return recorded
        live: Section = getattr(read_params(), name)
        return live

    def recorded(self, path: Path, stage: str) -> bytes | None:
        """Return the content of a file that `stage` wrote in its run, from DVC or MLflow; None if it is in neither."""
        md5 = self.md5s.get(str(path))
        found = None if md5 is None else content_of(path, md5)
        return self.in_mlflow(path, stage) if found is None else found

    def in_mlflow(self, path: Path, stage: str) -> bytes | None:
        """Return the file from the MLflow run of `stage`, which a registered version names; None if it is not there."""
        if self.version is None:
            return None
        from tasks.registry.version_lineage import report_of

        try:
            return report_of(self.version, stage, path)
        except CoroNetError as error:
            log(f"{path} of {self.name} is not in MLflow ({error})")
            return None
