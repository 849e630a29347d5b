"""Callbacks of long work: how core code tells of its progress without knowing who listens."""


def ignore(*_: object) -> None:
    """Listen to nothing: the default."""
