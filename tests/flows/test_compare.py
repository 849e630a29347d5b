"""The trainings of a comparison: what differs between them, and what they have in common."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.compare import variants_of
from flows.pipeline.variants import waves
from tasks.runtime.params.checks import read_params
from tasks.studies.comparison_file import Comparison, read_comparison
from tests.conftest import PROJECT

FILE = """
reference: residual
candidates:
  image: {title: raw images, changes: {cin.input: image}}
  residual: {title: CoroNet, changes: {}}
"""


@pytest.fixture
def comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Comparison:
    monkeypatch.chdir(PROJECT)
    (tmp_path / "mine.yaml").write_text(FILE)
    return read_comparison(tmp_path / "mine.yaml")


def test_every_candidate_is_trained_in_each_fold_with_each_seed(comparison: Comparison) -> None:
    variants = variants_of(comparison, read_params(), 2, 3, "patients")
    assert len({one.name for one in variants}) == len(variants) == 2 * 2 * 3
    by_name = {one.name: one.changes for one in variants}
    assert by_name["image-fold-2-seed-1"] == {
        "cin.input": "image",
        "cin.repetition": 1,
        "data.split": {
            "by": "folds",
            "folds": 2,
            "fold": 2,
            "unit": "patients",
            "validation_fraction": read_params().data.split.validation_fraction,
        },
    }


def test_what_the_candidates_of_a_fold_share_is_made_by_the_reference(comparison: Comparison) -> None:
    first, *others = waves(variants_of(comparison, read_params(), 2, 3, "patients"))
    assert [one.name for one in first] == ["residual-fold-1-seed-0", "residual-fold-2-seed-0"]
    assert [one.begins_with for one in first] == [None, None]
    origins = {one.name: one.begins_with for wave in others for one in wave}
    assert origins["image-fold-2-seed-0"] == "residual-fold-2-seed-0"
    assert origins["image-fold-2-seed-2"] == "image-fold-2-seed-0"
    assert origins["residual-fold-1-seed-1"] == "residual-fold-1-seed-0"


def test_only_a_candidate_with_other_autoencoders_trains_them_again(comparison: Comparison) -> None:
    candidates = comparison.candidates
    own = replace(candidates["image"], changes={"cin.input": "image", "autoencoder.skip_dropout": 0.5})
    compared = replace(comparison, candidates=candidates | {"own": own})
    training = {one.name for one in variants_of(compared, read_params(), 1, 2, "patients") if one.trains_autoencoders}
    assert training == {"residual-fold-1-seed-0", "own-fold-1-seed-0"}
