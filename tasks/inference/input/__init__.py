"""Reading the images to predict: local files, S3 objects, arrays and encoded bytes."""
