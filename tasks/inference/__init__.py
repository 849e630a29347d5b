"""Answers for image files that belong to no split."""
