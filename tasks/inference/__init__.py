"""A trained network on any image files."""
