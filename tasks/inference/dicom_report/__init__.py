"""The prediction of a DICOM image as DICOM objects of the same study: a structured report, and the map as an image."""
