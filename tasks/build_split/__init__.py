"""Stage `build_split`: raw images in; manifest and uint8 image shards out."""
