"""Stage `materialize_residuals`: images and both autoencoders in, residual tensors out."""
