"""The sections of `params.yaml`: what they may hold, and how the file is read."""
