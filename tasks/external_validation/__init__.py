"""External validation: a trained model on labelled images from elsewhere."""
