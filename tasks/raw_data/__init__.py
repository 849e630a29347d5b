"""Raw data: public data sets, downloaded and unpacked; images that the last split does not have."""
