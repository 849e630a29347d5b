"""What `coronet explain` does."""

from collections import Counter
from pathlib import Path

import torch

from flows.cli.exit_codes import code_of
from flows.project.run_lock import alone
from tasks.inference.batch import inference_device
from tasks.inference.explain_settings import MapSettings
from tasks.inference.input.storage import counts_in_words, find_files
from tasks.inference.networks import Networks
from tasks.inference.overlays import Overlays
from tasks.inference.source import load_model
from tasks.runtime.compute.cpu import use_cpu_threads
from tasks.runtime.external_text import printable
from tasks.runtime.params.explain import MethodName


def explain(paths: list[str], out: Path, method: MethodName, source: str | None, params_file: Path | None) -> int:
    """Draw maps of files into `out`, say what it comes to, and return the exit code (`code_of`).

    Raises CoroNetError when it cannot be done.
    """
    files, passed_over = find_files(paths)
    model = load_model(source)
    settings = MapSettings.of(params_file, source, model.image_size_px)
    use_cpu_threads(share=1)
    networks = Networks.of(model, torch.device(inference_device()))
    with alone(out.with_name(f".{out.name}.lock"), f"the explanation into {out}"):
        rows = Overlays(networks=networks, method=method, settings=settings, folder=out).draw(files)
    errors = Counter(row["error"] for row in rows if "error" in row)
    print(f"{len(files)} files: {len(files) - errors.total()} maps by {method}")
    for reason, n in errors.items():
        print(f"without a map: {n} {printable(reason)}")
    if passed_over:
        print(f"passed over: {counts_in_words(passed_over)}")
    print(f"Maps: {out.resolve()}")
    return code_of(errors.total(), len(files))
