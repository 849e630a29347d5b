"""Names shared by the registered model and the code that registers it."""

from typing import Final

MODEL: Final = "coronet"
"""The registered model."""
IMAGE_COLUMN: Final = "image"
"""Input column of a data frame."""
PACKAGE_ARTIFACT: Final = "package"
"""Name of the package among the model's artifacts."""
READ_PATHS: Final = "read_paths"
"""Key of the model configuration that allows strings to be file names."""
