"""`python -m tasks`: wrong calls, and faults in one line."""

from pathlib import Path

import pytest

from tasks.runtime.command import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bake"], "invalid choice: 'bake'"),
        (["train_autoencoder"], "train_autoencoder takes healthy or pneumonia, not none"),
        (["train_autoencoder", "covid19"], "train_autoencoder takes healthy or pneumonia, not covid19"),
        (["evaluate", "healthy"], "evaluate takes no item, not healthy"),
    ],
)
def test_a_wrong_call_says_what_is_right(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_fault_is_one_line_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate"]) == 1
    assert capsys.readouterr().err == (
        "error: params.yaml: no such parameter file. `coronet params show demo` prints a complete one; or restore it "
        "with git.\n"
    )
