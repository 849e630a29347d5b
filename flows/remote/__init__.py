"""Any stage on another host, which shares nothing with this one but git, the DVC remote and the servers."""
