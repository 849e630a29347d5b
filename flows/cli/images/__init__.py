"""Commands that read X-rays with a trained model: predictions, maps, drift, validation on images from elsewhere."""
