"""Names that the registered model and those who make it share."""

from typing import Final

MODEL: Final = "coronet"
"""The registered model."""
IMAGE_COLUMN: Final = "image"
"""The model's input, in a data frame."""
PACKAGE_ARTIFACT: Final = "package"
"""What the model calls its package."""
READ_PATHS: Final = "read_paths"
"""Key of the model configuration by which whoever loads the model lets strings name files."""
