"""A model on the test images of a split: the answers of its own run, and of images decoded anew for another size."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch

from coronet_core.common.literals import Aspect, Reading
from coronet_core.common.manifest import read_manifest
from coronet_core.data.reading.image import DecodedImage, decode
from coronet_core.support.errors import DataError
from tasks.build_split.pseudonym_key import ids_of
from tasks.build_split.sources import list_images
from tasks.evaluate.prediction_table import read_predictions
from tasks.inference.predictor import Networks
from tasks.package.trained_model import TrainedModel
from tasks.promotion import reevaluate as retest
from tasks.promotion.reevaluate import predict_test_images
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import MANIFEST, PREDICTIONS
from tests.tasks.finished_run import model_of_run, run_up_to_evaluate

CPU = torch.device("cpu")
STORED_AS = (64, Aspect.STRETCH, 2)


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Params]:
    """The params of a run up to `evaluate`, with networks that have learnt nothing, in the current folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("run"))
        patch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
        yield run_up_to_evaluate().params


@pytest.fixture
def model(params: Params) -> TrainedModel:
    return model_of_run(params)


def test_a_model_tested_again_says_what_it_said(model: TrainedModel, params: Params) -> None:
    told, again = read_predictions(PREDICTIONS), predict_test_images(model, STORED_AS, params, CPU)
    assert again.images["image_id"].tolist() == told.images["image_id"].tolist()
    assert (again.truth == told.truth).all()
    np.testing.assert_allclose(again.logits, told.logits, atol=1e-4)


def test_images_are_decoded_anew_for_a_model_of_another_size(model: TrainedModel, params: Params) -> None:
    larger = replace(model, image_size_px=96)
    ids, records = ids_of(params.data), list_images(params.data, params.seed).records
    contents = {ids.image(record): record.read() for record in records}
    test = read_manifest(MANIFEST).query("split == 'test'")
    images = np.stack([decode(contents[image], 96, Aspect.STRETCH, 2).pixels for image in test["image_id"]])
    expected = Networks.of(larger, CPU).predict(images)[0]
    np.testing.assert_allclose(predict_test_images(larger, STORED_AS, params, CPU).logits, expected, atol=1e-4)


def test_an_image_that_is_gone_is_named(model: TrainedModel, params: Params) -> None:
    other_source = replace(params, seed=params.seed + 1)
    larger = replace(model, aspect=Aspect.PAD)
    with pytest.raises(DataError, match="its file has changed since the split was built"):
        predict_test_images(larger, STORED_AS, other_source, CPU)
    fewer = replace(params, data=replace(params.data, ids="as_given"))
    with pytest.raises(
        DataError, match=r"the champion needs images of 64 px \(pad, reading rule 2\), but this one cannot be read"
    ):
        predict_test_images(larger, STORED_AS, fewer, CPU)


def test_a_champion_of_the_first_rule_sees_the_images_as_it_reads_them(model: TrainedModel, params: Params) -> None:
    former = replace(model, reading=1)
    ids, records = ids_of(params.data), list_images(params.data, params.seed).records
    contents = {ids.image(record): record.read() for record in records}
    test = read_manifest(MANIFEST).query("split == 'test'")
    images = np.stack([decode(contents[image], 64, Aspect.STRETCH, 1).pixels for image in test["image_id"]])
    expected = Networks.of(former, CPU).predict(images)[0]
    found = predict_test_images(former, STORED_AS, params, CPU)
    np.testing.assert_allclose(found.logits, expected, atol=1e-4)
    assert abs(found.logits - predict_test_images(model, STORED_AS, params, CPU).logits).max() > 1e-3


def test_images_that_the_first_rule_refuses_are_left_out(
    model: TrainedModel, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = read_manifest(MANIFEST).query("split == 'test'")
    refused = test["sha256"].iloc[0]

    def refusing(content: bytes, image_size_px: int, aspect: Aspect, reading: Reading) -> DecodedImage:
        if reading == 1 and sha256(content).hexdigest() == refused:
            raise DataError("truncated or damaged DICOM (ValueError)")
        return decode(content, image_size_px, aspect, reading)

    monkeypatch.setattr(retest, "decode", refusing)
    found = predict_test_images(replace(model, reading=1), STORED_AS, params, CPU)
    assert found.images["image_id"].tolist() == test["image_id"].iloc[1:].tolist()
    assert len(found.logits) == len(found.truth) == len(test) - 1


def test_a_champion_that_reads_no_image_cannot_be_compared(
    model: TrainedModel, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object) -> None:
        raise DataError("truncated or damaged DICOM (ValueError)")

    monkeypatch.setattr(retest, "decode", refusing)
    with pytest.raises(DataError, match="no test image can be read by the champion's reading rule 1"):
        predict_test_images(replace(model, reading=1), STORED_AS, params, CPU)
