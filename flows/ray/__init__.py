"""Fanning out on a Ray cluster."""
