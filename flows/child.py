"""`python -m flows.child MODULE ...`: a module's command line in a process that ends with the one that started it."""

import runpy
import sys

from tasks.orphans import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
