"""The stage build_split."""
