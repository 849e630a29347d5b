"""The feature-pyramid autoencoders, their training, and the residual tensor of what they miss (TFEN)."""
