"""The data rules: where images come from, how they are read, and how patients are split."""
