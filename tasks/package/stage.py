"""Stage `package`: writes weights, calibration and model card as one package."""

from pathlib import Path

from tasks.package.dvc_lock import Lock, model_of_last_run
from tasks.package.metadata import CARD, DESCRIPTION, Lineage, package_digest
from tasks.package.package_folder import write_package
from tasks.runtime.paths import MODEL_CARD, PACKAGE
from tasks.runtime.progress import log
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.provenance import code_version
from tasks.training.trained_precision import training_formats


def run(context: StageContext) -> None:
    """Write the package of this run; log its metadata and model card to MLflow."""
    write_package(PACKAGE, model_of_last_run(Path()), MODEL_CARD.read_text(encoding="utf-8"), lineage_here())
    digest = package_digest(PACKAGE)
    context.tracking.tags({"package": digest})
    for name in (DESCRIPTION, CARD):
        context.tracking.artifact(PACKAGE / name)
    log(f"package: {PACKAGE}, {digest[:12]}")


def lineage_here() -> Lineage:
    """Return the lineage of the last run of the project in the current folder."""
    lock, version = Lock(Path()), code_version()
    md5s = lock.md5s()
    code = {path: md5 for path, md5 in md5s.items() if path.startswith(("coronet_core/", "tasks/"))}
    return Lineage(
        commit=version["git.commit"],
        has_local_changes=version.get("git.dirty") == "true",
        params=lock.all_params(),
        data={path: md5 for path, md5 in md5s.items() if path not in code},
        code=code,
        training_precision=training_formats(),
    )
