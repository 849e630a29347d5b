"""The package: a folder that holds a whole trained CoroNet, its digests, its origin and its model card."""
