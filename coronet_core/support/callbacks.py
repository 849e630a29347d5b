"""Callbacks of long work: how core code reports progress without knowing the receiver."""


def noop(*_: object) -> None:
    """Listen to nothing: the default."""
