"""What a registered model needs to run elsewhere: its code, and its libraries with their versions."""

import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from coronet_core.support.errors import CoroNetError
from tasks.runtime.code_digest import modules_needed_by

ROOTS: Final = ("coronet_core", "tasks")
SERVED: Final = "tasks.inference.pyfunc_model"
"""The module that MLflow runs."""
LIBRARIES: Final = (
    "mlflow-skinny",  # loads and serves models; what mlflow itself adds is for its server and other kinds of models
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "pydicom",
    "python-gdcm",  # loaded by pydicom
    "safetensors",
    "torch",
    "torchvision",
)
"""The libraries that the model's code imports."""


def served_file() -> Path:
    """Return the file that MLflow runs."""
    return _folder_of("tasks") / "inference" / "pyfunc_model.py"


def requirements() -> list[str]:
    """Return the libraries of the model, each pinned to the installed version."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in LIBRARIES]  # registries have no versions like +cpu


def modules() -> set[str]:
    """Return the project's modules that the model runs, with their packages."""
    return modules_needed_by(SERVED)


def copy_code(target: Path) -> list[Path]:
    """Copy the model's code to `target`, and return the package folders there."""
    for module in sorted(modules()):
        root, *inner = module.split(".")
        source = _folder_of(root).joinpath(*inner)
        file = source / "__init__.py" if source.is_dir() else source.with_suffix(".py")
        copy = target / root / file.relative_to(_folder_of(root))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    return [target / root for root in ROOTS]


def _folder_of(root: str) -> Path:
    found = find_spec(root)
    if found is None or found.origin is None:
        raise CoroNetError(f"the package {root} is not installed. Install the project again (`make`).")
    return Path(found.origin).parent
