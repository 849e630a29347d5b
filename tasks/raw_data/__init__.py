"""Public data sets, downloaded and unpacked."""
