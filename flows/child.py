"""`python -m flows.child ...`: DVC's command line in a process that does not outlive the flow that started it."""

import sys

from dvc.cli import main

from tasks.orphans import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    sys.exit(main(sys.argv[1:]))
