"""The command line `coronet`, one file a group of commands."""
