"""A candidate beside the champion: the same images, whatever their order, and no patient whom the champion knows."""

from dataclasses import replace

import numpy as np
import pytest

from coronet_core.support.errors import DataError
from tasks.calibrate.split_predictions import SplitPredictions
from tasks.promotion.model_comparison import compare
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import Params
from tests.conftest import PROJECT
from tests.tasks.predictions import predictions


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(PROJECT)
    return read_params()


def shuffled(one: SplitPredictions) -> SplitPredictions:
    order = np.random.default_rng(1).permutation(len(one.truth))
    return replace(one, images=one.images.iloc[order], truth=one.truth[order], logits=one.logits[order])


def test_the_better_of_two_is_surely_better(params: Params) -> None:
    good, poor = predictions(60, 60, 40, edge=4), predictions(60, 60, 40, edge=1)
    found = compare(good, poor, "version 3", (), params)
    difference = found.differences["balanced_accuracy"]
    assert difference.interval is not None
    assert difference.interval[0] > 0
    assert found.notes == ("Compared on 160 images of 80 patients of the test split.",)


def test_the_order_of_the_images_does_not_matter(params: Params) -> None:
    good, poor = predictions(30, 30, 20, edge=4), predictions(30, 30, 20, edge=1)
    assert compare(good, shuffled(poor), "version 3", (), params) == compare(good, poor, "version 3", (), params)


def test_a_version_compared_with_itself_does_not_differ(params: Params) -> None:
    same = predictions(30, 30, 20)
    found = compare(same, shuffled(same), "version 3", (), params)
    assert {one.interval for one in found.differences.values()} == {(0.0, 0.0)}


def test_both_are_measured_by_the_labels_of_today(params: Params) -> None:
    today = predictions(30, 30, 20, edge=9)
    labelled_before = replace(today, truth=np.roll(today.truth, 10))
    assert compare(today, labelled_before, "version 3", (), params).differences["accuracy"].difference == 0


def test_patients_whom_the_champion_was_trained_with_are_left_out(params: Params) -> None:
    """The champion tells those patients right and no others: without them, it knows nothing."""
    candidate = predictions(60, 60, 40, edge=4)
    seen = {f"patient-{i}" for i in range(0, 80, 2)}
    knows = candidate.images["patient_id"].isin(seen).to_numpy()
    by_heart = np.where(knows[:, None], np.eye(3)[candidate.truth], np.eye(3)[(candidate.truth + 1) % 3])
    found = compare(candidate, replace(candidate, logits=by_heart), "version 3", seen, params)
    accuracy = float((candidate.predicted == candidate.truth)[~knows].mean())
    assert found.differences["accuracy"].difference == pytest.approx(accuracy)
    assert found.notes[1] == ("Excluded from the comparison: 80 images of 40 patients that version 3 was trained with.")


def test_a_champion_that_was_trained_with_all_test_patients_cannot_be_compared_with(params: Params) -> None:
    same = predictions(10, 10, 10)
    with pytest.raises(DataError, match="version 3 was trained with every test patient"):
        compare(same, same, "version 3", set(same.images["patient_id"]), params)


def test_classes_of_which_the_champion_knows_all_patients_are_named(params: Params) -> None:
    candidate = predictions(60, 60, 40, edge=4)
    of_covid19 = set(candidate.images["patient_id"][candidate.truth == 2])
    assert compare(candidate, candidate, "version 3", of_covid19, params).classes_left_out == ("covid19",)
    assert compare(candidate, candidate, "version 3", (), params).classes_left_out == ()


def test_where_few_patients_remain_no_difference_is_certain(params: Params) -> None:
    candidate = predictions(60, 60, 40, edge=4)
    seen = {f"patient-{i}" for i in range(4, 80)}
    found = compare(candidate, candidate, "version 3", seen, params)
    assert found.notes[0].startswith("Compared on 8 images of 4 patients")
    assert {one.interval for one in found.differences.values()} == {None}


def test_predictions_of_other_images_are_refused(params: Params) -> None:
    with pytest.raises(DataError, match="version 3 has no prediction for image-20"):
        compare(predictions(10, 10, 10), predictions(10, 10, 0), "version 3", (), params)


def test_patients_whom_the_champion_knew_by_another_id_are_known_by_their_images(params: Params) -> None:
    candidate = predictions(60, 60, 40, edge=4)
    by_patient = compare(candidate, candidate, "version 3", {"patient-0"}, params)
    images = candidate.images.loc[candidate.images["patient_id"] == "patient-0", "image_id"]
    assert compare(candidate, candidate, "version 3", {images.iloc[0]}, params) == by_patient
    assert "Excluded from the comparison: 2 images of 1 patient that" in by_patient.notes[1]
