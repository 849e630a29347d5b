"""`python -m tasks STAGE [ITEM]`: what `dvc.yaml` runs. One line on standard error says what went wrong."""

from tasks.collector import imports_spared
from tasks.leaving import leave

if __name__ == "__main__":
    with imports_spared():
        from tasks.command import main
    leave(main())
