"""Predictions as rows, files and text."""
