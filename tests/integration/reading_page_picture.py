"""The picture of the reading page, with the last run: `python -m tests.integration.reading_page_picture FILE ...`.

The Makefile names the files of README's picture: X-rays that their publisher lets everybody show. Needs Chromium.
"""

import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image

from tasks.inference.model_source import load_model
from tasks.runtime.params.checks import read_params
from tests.integration.chromium import WAIT_S, reading_page
from tests.serving.served import running, served_model

PICTURE: Final = Path("docs/reading_page.png")
SIZE_PX: Final = (1200, 1000)
COLOURS: Final = 256
FEWEST: Final = 2


def main(files: Sequence[str]) -> None:
    """Show the files, at least two, and an unreadable one; write the picture of the second."""
    paths = [Path(file).absolute() for file in files]
    if missing := [str(path) for path in paths if not path.is_file()]:
        sys.exit(
            f"missing: {', '.join(missing)}. docs/serving.md says which X-rays the picture shows, and where they are."
        )
    if len(paths) < FEWEST:
        sys.exit("give at least two files, such as those that `make reading-picture` names")
    served = served_model(model=load_model(None), source="the last run", explain=read_params().explain)
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.png"
        notes.write_bytes(b"no image")
        with running(served, log_requests=False, explain_seconds=WAIT_S) as address, reading_page(address) as page:
            page.open(*SIZE_PX)
            page.choose([*paths, notes])
            page.all("#list button")[1].click()
            page.one("#method").send_keys("Grad")
            page.wait_for_overlay()
            page.wait(lambda: page.all("#residuals:not([hidden])") and page.all("#busy[hidden]"))
            page.script("document.activeElement.blur()")
            shown = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
    shown.quantize(COLOURS, Image.Quantize.MEDIANCUT).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
