"""Where the PNGs of a report keep their alternative text; whoever reads them need not load what draws them."""

from typing import Final

ALT_KEY: Final = "Description"
"""Metadata key of a PNG."""
