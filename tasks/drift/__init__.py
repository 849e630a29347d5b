"""Drift: whether new images still resemble those that the model was validated on."""
