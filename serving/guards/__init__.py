"""What stands between clients and the service: connections, keys, hosts, rates, load, the log."""
