"""Files of candidates, and what is wrong with them."""

from pathlib import Path

import pytest

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.presets import whole_file
from tasks.studies.comparison_file import EXAMPLE, Comparison, params_of, read_comparison
from tasks.studies.residual_question import residual_pairs
from tests.conftest import PROJECT

TWO = """
candidates:
  residual: {title: CoroNet, changes: {}}
  image: {title: raw images, changes: {cin.input: image, cin.epochs: 3}}
"""


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def comparison(folder: Path, text: str) -> Comparison:
    path = folder / "mine.yaml"
    path.write_text(text)
    return read_comparison(path)


def test_the_first_candidate_is_the_reference_unless_another_is_named(tmp_path: Path) -> None:
    assert comparison(tmp_path, TWO).reference == "residual"
    assert comparison(tmp_path, f"{TWO}reference: image\n").reference == "image"
    assert comparison(tmp_path, TWO).chosen_by == "macro_roc_auc"


def test_candidates_are_the_live_params_with_changes(tmp_path: Path) -> None:
    found = params_of(comparison(tmp_path, TWO))
    assert found["residual"] == read_params()
    assert (found["image"].cin.input, found["image"].cin.epochs) == ("image", 3)
    assert found["image"].autoencoder == read_params().autoencoder


def test_the_example_holds_for_the_live_params() -> None:
    found = read_comparison(EXAMPLE)
    assert len(params_of(found)) == len(found.candidates) == 3


def test_a_section_changes_the_keys_that_it_names(tmp_path: Path) -> None:
    found = comparison(tmp_path, TWO.replace("cin.epochs: 3", "cin: {epochs: 3, batch_size: 4}"))
    assert found.candidates["image"].changes == {"cin.input": "image", "cin.epochs": 3, "cin.batch_size": 4}
    assert params_of(found)["image"].cin.learning_rate == read_params().cin.learning_rate


def test_the_other_networks_hold_for_x_rays_and_the_residual_is_judged_by_as_many_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_bytes(whole_file(Path("params/xray.yaml")))
    monkeypatch.chdir(tmp_path)
    pairs = residual_pairs(params_of(read_comparison(PROJECT / "params/comparison/networks.yaml")))
    assert [tuple(pair) for pair in pairs] == [
        ("residual_and_image", "image"),
        ("few_images", "few_images_image"),
        ("last_block", "last_block_image"),
        ("coronet", "image"),
        ("few_images_residual", "few_images_image"),
    ]


FOLDS = """
candidates:
  both: {title: both, changes: {cin.input: residual_tensor_and_image, cin.fusion: networks, cin.members: 2}}
  image_by_as_many: {title: image, changes: {cin.input: image, cin.members: 4}}
  planes: {title: both in one network, changes: {cin.input: residual_tensor_and_image, cin.members: 4}}
  residual: {title: residual tensor, changes: {cin.members: 3}}
  image: {title: image, changes: {cin.input: image, cin.members: 3}}
"""


@pytest.mark.parametrize(
    ("member_images", "pairs"),
    [
        ("all", [("both", "image_by_as_many"), ("planes", "image_by_as_many"), ("residual", "image")]),
        ("folds", [("planes", "image_by_as_many"), ("residual", "image")]),
    ],
)
def test_the_residual_is_judged_by_networks_that_were_trained_on_as_many_patients(
    tmp_path: Path, member_images: str, pairs: list[tuple[str, str]]
) -> None:
    text = FOLDS.replace("cin.members", f"cin.member_images: {member_images}, cin.members")
    assert [tuple(pair) for pair in residual_pairs(params_of(comparison(tmp_path, text)))] == pairs


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ("{cin.input: picture}", 'image: cin.input = "picture": allowed: '),
        ("{cin.epoch: 3}", "image: cin.epoch = 3: unknown key. Did you mean epochs?"),
        ("{cin.epochs: -1}", "image: cin.epochs = -1: allowed: a whole number from 0 to 10000"),
        ("{seed: 1}", "image: seed: candidates may not differ in it. Allowed: params of autoencoder, residuals, cin"),
        ("{data.image_size_px: 64}", "image: data.image_size_px: candidates may not differ in it"),
        ("{evaluate.auc_of: predictions}", "image: evaluate.auc_of: candidates may not differ in it"),
        ("{cin: 3}", "image: cin: candidates may not differ in it"),
        ("{cin: {epochs: -1}}", "image: cin.epochs = -1: allowed: a whole number from 0 to 10000"),
        ("{cin.repetition: 1}", "image: cin.repetition: set by the comparison itself"),
        ("[cin.epochs]", "image.changes: allowed: "),
    ],
)
def test_what_is_wrong_with_a_candidate_is_said(tmp_path: Path, changes: str, fault: str) -> None:
    text = TWO.replace("{cin.input: image, cin.epochs: 3}", changes)
    with pytest.raises(ParamsError) as caught:
        comparison(tmp_path, text)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / 'mine.yaml'}: candidates.{fault}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the file: "),
        ("candidates: {}\n", "candidates: fewer than two. Add one"),
        ("candidates: {a: {title: one, changes: {}}}\n", "candidates: fewer than two. Add one"),
        (f"{TWO}reference: picture\n", "reference = picture: no such candidate. Allowed: residual, image."),
        (f"{TWO}chosen_by: f1_score\n", "chosen_by: allowed: 'accuracy', 'balanced_accuracy' or 'macro_roc_auc'"),
        (f"{TWO}refrence: image\n", "refrence: unknown key. "),
        (
            TWO.replace("  image:", "  ../image:"),
            "candidates.../image: it names a folder. Allowed: a lower-case letter",
        ),
        (TWO.replace("title: CoroNet", "title: ''"), "candidates.residual.title: allowed: a text"),
        (TWO.replace("title: CoroNet, ", ""), "candidates.residual.title: missing. "),
        (
            f"{TWO}published: [{{title: x, accuracy: 87.0, images: 9, unit: images, source: y}}]",
            "published.0.accuracy: ",
        ),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ParamsError) as caught:
        comparison(tmp_path, text)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{tmp_path / 'mine.yaml'}: {fault}")


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    text = TWO.replace("cin.epochs: 3", "cin.epochs: -1, cin.batch_size: 0") + "reference: picture\n"
    with pytest.raises(ParamsError) as caught:
        comparison(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 3


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=rf"no such file with candidates\. {EXAMPLE} is an example\."):
        read_comparison(tmp_path / "none.yaml")


def test_a_candidate_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"not valid YAML .*duplicate key"):
        comparison(tmp_path, TWO + "  image: {title: again, changes: {}}\n")
