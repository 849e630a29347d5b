"""torchvision comes without torch's compiler, and the compiler when somebody asks for it."""

import subprocess
import sys

PROGRAM = """
import sys
import torch
from coronet_core.attribution.blur import blur
from coronet_core.models import build_cin
cin = build_cin().eval()
with torch.inference_mode():
    cin(blur(torch.rand(1, 3, 64, 64), 2.0))
assert "torch._dynamo" not in sys.modules
from torchvision.ops import roi_align
assert roi_align(torch.ones(1, 1, 8, 8), [torch.tensor([[0.0, 0.0, 4.0, 4.0]])], 2).sum() == 4
compiled = torch.compile(cin, backend="eager")
x = torch.rand(2, 3, 64, 64)
torch.testing.assert_close(compiled(x), cin(x))
assert torch._dynamo.utils.is_compile_supported("cpu") in (True, False)
assert torch._dynamo.__file__
"""


def test_a_cin_answers_without_the_compiler_and_can_be_compiled_later() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
