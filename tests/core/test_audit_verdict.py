"""The skill that a view leaves, and the verdict on networks that read the lungs or a marker in the corner."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from coronet_core.audits.masking import VIEWS, Regions, View, cells, read_by_view
from coronet_core.audits.ood_detection import detection
from coronet_core.audits.skill import Retained, Sample, ViewFigures, retained, view_figures
from coronet_core.audits.verdict import Limits, Verdict, judge

LIMITS = Limits(max_retained_skill=0.5, max_source_skill=0.5, min_kept_skill=0.8)
REGIONS = Regions(lungs_box=(0.125, 0.125, 0.875, 0.875), border_fraction=0.125)
TRUTH = np.arange(30) % 3


def sample(truth: np.ndarray = TRUTH) -> Sample:
    groups = np.array([f"p{i}" for i in range(len(truth))], dtype=object)
    return Sample(truth=truth, groups=groups, confidence=0.95, replicates=200, seed=1)


def batches() -> Iterator[Tensor]:
    """Images whose class is told by a lung region and by a corner alike: grey 0.1, 0.5 or 0.9 in both."""
    grey = torch.tensor([0.1, 0.5, 0.9])[torch.from_numpy(TRUTH)]
    image = torch.rand(len(grey), 1, 64, 64) * 0.2
    image[..., 24:40, 24:40] = grey[:, None, None, None]
    image[..., :4, :4] = grey[:, None, None, None]
    yield from image.split(7)


def network_that_reads(rows: slice) -> Callable[[Tensor], Tensor]:
    """A network that looks at a square on the diagonal and nothing else."""

    def probabilities(image: Tensor) -> Tensor:
        grey = image[:, 0, rows, rows].mean(dim=(1, 2))
        return (-20 * (grey[:, None] - torch.tensor([0.1, 0.5, 0.9])).abs()).softmax(dim=1)

    return probabilities


def verdict_on(probabilities: Callable[[Tensor], Tensor], source: ViewFigures | None = None) -> Verdict:
    answers = read_by_view(probabilities, batches(), REGIONS)
    return judge({view: view_figures(p, sample()) for view, p in answers.items()}, source, 3, LIMITS)


def test_a_network_that_reads_the_lungs_passes() -> None:
    found = verdict_on(network_that_reads(slice(26, 38)))
    assert found.passed
    assert found.findings == []
    assert found.not_checked == ["All images come from one source, so the source cannot give the class away."]


def test_a_network_that_reads_a_corner_does_not_pass() -> None:
    found = verdict_on(network_that_reads(slice(0, 4)))
    assert not found.passed
    whole = "whole images: balanced accuracy 1.00, mean ROC-AUC 1.00"
    assert found.findings == [
        (
            f"100.0% of the skill remains with the lungs masked (balanced accuracy 1.00, mean ROC-AUC 1.00; {whole}): "
            "at most 50% is allowed."
        ),
        (
            "100.0% of the skill remains on the image border alone (balanced accuracy 1.00, mean ROC-AUC 1.00; "
            f"{whole}): at most 50% is allowed."
        ),
        (
            "0.0% of the skill remains with borders and text masked (balanced accuracy 0.33, mean ROC-AUC 0.50; "
            f"{whole}): at least 80% is required."
        ),
    ]


def test_a_source_that_tells_the_class_does_not_pass() -> None:
    perfect = view_figures(np.eye(3)[TRUTH], sample())
    found = verdict_on(network_that_reads(slice(26, 38)), perfect)
    (sentence,) = found.findings
    assert sentence.startswith("100.0% of the skill comes from the source's name alone, without any image (")
    assert found.not_checked == []


def test_a_network_without_skill_does_not_pass() -> None:
    found = verdict_on(lambda image: torch.full((len(image), 3), 1 / 3))
    assert found.findings == [
        (
            "Too little skill to audit: not significantly above chance on whole images (balanced accuracy 0.33, mean "
            "ROC-AUC 0.50)."
        )
    ]
    assert found.not_checked[1:] == [
        f"{test} test not applicable: no skill above chance."
        for test in ("Lungs-masked", "Border-only", "Borders-and-text-masked")
    ]


def test_skill_that_may_be_chance_is_too_little_to_take_shares_of() -> None:
    """12 of 30 right, where chance is 10: the border's 11 would be half of the skill."""
    right = np.arange(30) < 12
    whole = view_figures(np.eye(3)[np.where(right, TRUTH, (TRUTH + 1) % 3)], sample())
    assert whole.balanced_accuracy_interval is not None
    assert whole.balanced_accuracy_interval[0] < 1 / 3 < whole.balanced_accuracy
    assert retained(whole, whole, 3).balanced_accuracy is None
    views: dict[View, ViewFigures] = dict.fromkeys(VIEWS, whole)
    found = judge(views, whole, 3, LIMITS)
    assert not found.passed
    assert [sentence.split(":")[0] for sentence in found.findings] == ["Too little skill to audit"]
    assert len(found.not_checked) == 4


def test_a_measure_whose_skill_may_be_chance_is_left_out() -> None:
    """All answers are 'healthy', and rank the classes as they should: the area alone tells what is left."""
    right = np.eye(3)[TRUTH]
    whole = view_figures(0.1 * right + np.array([0.8, 0.0, 0.0]), sample())
    assert retained(view_figures(right, sample()), whole, 3) == Retained(balanced_accuracy=None, roc_auc=1.0)


def test_skill_that_only_the_ranking_shows_counts_too() -> None:
    """With the lungs masked all answers are 'healthy', and yet rank the classes as before."""
    right = np.eye(3)[TRUTH]
    shifted = 0.1 * right + np.array([0.8, 0.0, 0.0])
    whole, masked = view_figures(right, sample()), view_figures(shifted, sample())
    assert retained(masked, whole, 3) == Retained(balanced_accuracy=0.0, roc_auc=1.0)
    views: dict[View, ViewFigures] = {
        "as_is": whole,
        "lungs_masked": masked,
        "only_border": view_figures(np.full((30, 3), 1 / 3), sample()),
        "borders_and_text_masked": whole,
    }
    (sentence,) = judge(views, None, 3, LIMITS).findings
    assert sentence.startswith("100.0% of the skill remains with the lungs masked (balanced accuracy 0.33, mean ")


def test_figures_by_hand() -> None:
    probabilities = np.eye(3)[[0, 0, 1, 1, 2, 0]]
    figures = view_figures(probabilities, sample(np.array([0, 0, 1, 1, 2, 2])))
    assert figures.accuracy == pytest.approx(5 / 6)
    assert figures.balanced_accuracy == pytest.approx((1 + 1 + 1 / 2) / 3)
    assert figures.roc_auc == {"healthy": 0.875, "pneumonia": 1.0, "covid19": 0.75}
    assert figures.roc_auc_macro == pytest.approx((0.875 + 1 + 0.75) / 3)


def test_chance_is_none_of_the_skill() -> None:
    whole, chance = (view_figures(np.eye(3)[answers], sample()) for answers in (TRUTH, [0] * 30))
    assert retained(chance, whole, 3) == Retained(balanced_accuracy=0.0, roc_auc=0.0)


def test_a_missing_class_has_no_area_and_chance_is_that_of_the_others() -> None:
    truth = np.array([0, 0, 1, 1] * 5)
    figures = view_figures(np.eye(3)[truth], sample(truth))
    assert figures.roc_auc == {"healthy": 1.0, "pneumonia": 1.0, "covid19": None}
    half = view_figures(np.eye(3)[[0, 0, 1, 0] * 5], sample(truth))
    assert retained(half, figures, sample(truth).n_classes).balanced_accuracy == pytest.approx(0.5)


def test_a_single_class_is_not_accused_of_chance() -> None:
    truth = np.zeros(6, dtype=int)
    figures = view_figures(np.eye(3)[truth], sample(truth))
    assert figures.roc_auc_macro is None
    found = judge(dict.fromkeys(VIEWS, figures), None, 1, LIMITS)
    assert found.findings == ["All test images are of one class: there is nothing to audit."]
    assert len(found.not_checked) == 4


def test_cells_are_mean_greys() -> None:
    image = torch.zeros(1, 1, 32, 32)
    image[..., 0, 0] = 1
    assert cells(image)[0, :2].tolist() == [0.25, 0.0]


def test_detection_by_hand() -> None:
    xrays, probed = np.array([1.0, 2.0, 3.0, 4.0]), np.array([3, 0])
    found = detection(xrays, np.array([3.5, np.inf]), probed, threshold=3.6, sample=sample(np.array([0, 1, 2, 0])))
    assert found.roc_auc == pytest.approx(7 / 8)
    assert (found.flagged.share, found.flagged.images) == (0.5, 2)


def test_infinite_scores_are_all_alike() -> None:
    both = np.array([np.inf, np.inf])
    assert detection(both, both, np.array([0, 1]), threshold=1, sample=sample(np.array([0, 1]))).roc_auc == 0.5
