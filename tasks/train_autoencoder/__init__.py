"""Stage `train_autoencoder`: images of one class in, the weights of its autoencoder out."""
