"""CPU threads, GPUs and their locks, and the processes that train one network together."""
