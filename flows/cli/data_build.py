"""What `coronet data build` does."""

from pathlib import Path

from flows.project.live_params import prepare
from flows.project.processes import StageProcesses, stage_environment
from tasks.build_split import labels_only
from tasks.runtime.params.file import PARAMS_FILE, read_params
from tasks.runtime.paths import SPLIT_STAGE

LABELS_ONLY = Path("reports/labels_only")


def build_split(params_file: Path | None) -> None:
    """Bring the stage `build_split` up to date through DVC, as `dvc repro` would."""
    prepare(params_file)
    StageProcesses(Path()).run(SPLIT_STAGE, stage_environment(), print)


def build_labels_only(params_file: Path | None, out: Path | None) -> None:
    """Preview the split from the label files alone; DVC and the data set stay as they are."""
    folder = out or LABELS_ONLY
    labels_only.build(read_params(params_file or PARAMS_FILE), folder)
    print(f"Written to {folder}: manifest.parquet, split.json")
