"""One module a source. Each has `records(...)`, which lists what it holds."""
