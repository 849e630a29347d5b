"""`python -m tasks STAGE [ITEM]`: what `dvc.yaml` runs. One line on standard error says what went wrong."""

import sys

from tasks.collector import imports_spared

if __name__ == "__main__":
    with imports_spared():
        from tasks.command import main
    sys.exit(main())
