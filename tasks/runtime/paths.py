"""The stages, and where they read and write, relative to the project root. A test compares this with `dvc.yaml`."""

from pathlib import Path
from typing import Final

from coronet_core.common.classes import ClassName, FoldUnit

DVC_LOCK: Final = Path("dvc.lock")

SPLIT: Final = Path("data/split")
SPLIT_STAGE: Final = "build_split"
"""The stage that makes it."""
MANIFEST: Final = SPLIT / "manifest.parquet"
IMAGES: Final = SPLIT / "images"
SPLIT_REPORT: Final = Path("reports/split.json")

RESIDUALS: Final = Path("data/residuals")
RESIDUAL_INDEX: Final = RESIDUALS / "index.parquet"

RESIDUAL_SCALE: Final = Path("models/residual_scale.safetensors")

CIN_WEIGHTS: Final = Path("models/cin.safetensors")
CALIBRATION: Final = Path("models/calibration.json")
CIN_HISTORY: Final = Path("reports/history/cin.csv")

METRICS: Final = Path("reports/metrics.json")
PREDICTIONS: Final = Path("reports/predictions.parquet")
PLOTS: Final = Path("reports/plots")
CONFUSION_PLOT: Final = PLOTS / "confusion.csv"
RELIABILITY_PLOT: Final = PLOTS / "reliability.csv"
AUDIT: Final = Path("reports/audit.json")
EXPLANATIONS: Final = Path("reports/explanations")
EXPLANATION_INDEX: Final = EXPLANATIONS / "index.parquet"
GALLERY_INDEX: Final = EXPLANATIONS / "gallery.parquet"
"""The errors and uncertain test images that the report shows."""
GALLERY_MAPS: Final = EXPLANATIONS / "gallery_maps.npy"
"""A map (H, W) of each, in their order."""
EXPLANATION_MEASURES: Final = Path("reports/explanations.json")
REPORT: Final = Path("reports/report.html")
MODEL_CARD: Final = Path("reports/MODEL_CARD.md")
FIGURES: Final = Path("reports/figures")
"""The figures of the report as files, each named as the report calls it."""
PACKAGE: Final = Path("models/coronet")
"""The folder of the whole trained CoroNet, as the registry takes it."""

DIFFERENCES: Final = Path("reports/differences.json")
"""How the last run differs from the champion and from the run before it. No stage makes it: it needs the registry."""
DIFFERENCES_PAGE: Final = DIFFERENCES.with_suffix(".html")

ABLATIONS_TABLE: Final = Path("reports/ablations.json")
ABLATIONS_PAGE: Final = Path("reports/ablations.html")

STATE: Final = Path(".coronet")
"""What belongs to no stage's outs: checkpoints to resume from, records that MLflow has not received yet."""
IMAGE_NAMES: Final = STATE / "image_names.csv"
"""What each image_id is called in its source. It may name patients: it never leaves this machine."""


def autoencoder_weights(label: ClassName) -> Path:
    """Weights of the autoencoder of one class."""
    return Path(f"models/autoencoder_{label}.safetensors")


def cross_validation_summary(unit: FoldUnit) -> Path:
    """Summary of a cross-validation that keeps this unit whole."""
    return Path(f"reports/cross_validation_{unit}.json")


def cross_validation_page(unit: FoldUnit) -> Path:
    """The same to read."""
    return cross_validation_summary(unit).with_suffix(".html")


def comparison_table_file(unit: FoldUnit) -> Path:
    """Table of a comparison on folds that keep this unit whole."""
    return Path("reports/comparison.json" if unit == "patients" else f"reports/comparison_{unit}.json")


def comparison_page(unit: FoldUnit) -> Path:
    """The same to read."""
    return comparison_table_file(unit).with_suffix(".html")


def validation_folder(name: str) -> Path:
    """Page, JSON and tables of an external validation on the folder called `name`."""
    return Path("reports/validation") / name


def search_page(study: str) -> Path:
    """Page of a hyperparameter search."""
    return Path(f"reports/search_{study}.html")


def explanation_maps(method: str) -> Path:
    """Maps (n, H, W) float32 of one method, in the order of the index of explanations."""
    return EXPLANATIONS / f"maps_{method}.npy"


def roc_plot(label: ClassName) -> Path:
    """Points of the ROC of one class against the rest."""
    return PLOTS / f"roc_{label}.csv"


def precision_recall_plot(label: ClassName) -> Path:
    """Points of the precision-recall curve of one class against the rest."""
    return PLOTS / f"pr_{label}.csv"


def autoencoder_history(label: ClassName) -> Path:
    """Epochs of the autoencoder of one class."""
    return Path(f"reports/history/autoencoder_{label}.csv")


STAGES: Final = {
    "build_split": ["data"],
    "train_autoencoder": ["autoencoder"],
    "materialize_residuals": ["residuals"],
    "train_cin": ["cin"],
    "calibrate": ["calibrate"],
    "evaluate": ["evaluate"],
    "audit": ["audit"],
    "explain": ["explain"],
    "report": [],
    "package": [],
}
"""The stages, and the sections of the params that are logged to MLflow with them."""
ITEMS: Final = {"train_autoencoder": ("healthy", "pneumonia")}
"""What `dvc.yaml` runs a stage for, one by one."""
