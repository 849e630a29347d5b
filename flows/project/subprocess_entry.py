"""`python -m flows.project.subprocess_entry MODULE ...`: a module in a process that ends with its parent."""

import runpy
import sys

from tasks.runtime.compute.parent_death import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
