"""The command line `coronet`, one file a group of commands."""

from flows.cli.command_line import app

__all__ = ["app"]
