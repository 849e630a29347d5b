"""Predictions and attribution maps for image files."""
