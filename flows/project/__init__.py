"""The project in the current folder: its DAG, its live params, its workspaces and its processes."""
