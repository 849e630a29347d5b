"""`python -m benchmarks.timed STAGE [ITEM]`: what `python -m tasks` does, and a note of how many seconds it took."""

import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    began = time.monotonic()
    code = subprocess.call([sys.executable, "-m", "tasks", *sys.argv[1:]])
    note = Path(".coronet", "timed", "@".join(sys.argv[1:]))
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(f"{time.monotonic() - began:.2f}")
    sys.exit(code)
