"""What `coronet predict` does."""

from pathlib import Path

from flows.predict_batch import predict_batch
from flows.run import run_to_end
from tasks.inference.dataset import read_summary


def predict(paths: list[str], out: Path, shard_files: int, ray: str | None) -> None:
    """Predict files and print what it comes to. Raises CoroNetError when it cannot be done."""
    run_to_end(lambda: predict_batch(paths, str(out), shard_files, ray, return_state=True))
    summary = read_summary(out)
    print(
        f"{summary['files']} files: {summary['answered']} answered, {summary['abstained']} left to a person, "
        f"{summary['out_of_distribution']} unlike the validation images"
    )
    for reason, n in summary["errors"].items():
        print(f"without an answer: {n} {reason}")
    print(f"Predictions: {out.resolve()}")
