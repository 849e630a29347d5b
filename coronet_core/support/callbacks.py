"""Callbacks of long work: how core code tells of its progress without knowing who listens."""


def noop(*_: object) -> None:
    """Listen to nothing: the default."""
