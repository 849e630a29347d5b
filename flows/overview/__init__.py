"""The state of the project: what `coronet status` says."""
