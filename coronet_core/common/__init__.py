"""What all of the science shares: classes, seeds, shards, batches, weights, the manifest."""
