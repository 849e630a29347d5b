"""Reading files of any format as uint8 grey images of the size that the networks take."""
