"""Whether what a model is shown now is still what it was validated on."""
