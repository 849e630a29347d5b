"""Runs on record: written down on disk, then delivered to MLflow."""
