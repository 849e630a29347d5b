"""Stage `train_cin`: residual tensors in, the weights of the CIN out."""
