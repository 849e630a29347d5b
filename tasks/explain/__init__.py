"""Stage `explain`: attribution maps of test images, and how far they can be trusted."""
