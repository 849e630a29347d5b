"""The state of the project and of this machine: what `coronet status` and `coronet doctor` say."""
