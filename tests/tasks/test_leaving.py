"""The end of a process: what is done, said and returned, and what is spared."""

import subprocess
import sys


def ended(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)


def test_exit_functions_are_called_words_are_out_and_the_code_is_returned() -> None:
    process = ended(
        "import atexit; from tasks.leaving import leave; atexit.register(print, 'at exit')\nprint('a word'); leave(3)"
    )
    assert (process.returncode, process.stdout.splitlines()) == (3, ["a word", "at exit"])


def test_nothing_is_taken_apart() -> None:
    code = "class Loud:\n  def __del__(self): print('gone')\nkept = Loud()\nfrom tasks.leaving import leave\n"
    assert ended(code).stdout == "gone\n"
    assert ended(code + "leave(0)").stdout == ""


def test_triton_tells_of_no_leaks() -> None:
    """It comes with Adam and counts what is left of it."""
    code = (
        "import gc, torch\nfrom tasks.leaving import leave\n"
        "weights = torch.nn.Parameter(torch.ones(2)); optimiser = torch.optim.Adam([weights])\n"
        "weights.sum().backward(); optimiser.step(); gc.freeze(); leave(0)"
    )
    process = ended(code)
    assert (process.returncode, process.stderr) == (0, "")
