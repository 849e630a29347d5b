"""`python -m tasks STAGE [ITEM]`: what `dvc.yaml` runs. One line on standard error says what went wrong."""

import sys

from tasks.runtime.command import main

if __name__ == "__main__":
    sys.exit(main())
