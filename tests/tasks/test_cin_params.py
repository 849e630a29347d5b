"""Options of the classifier that exclude each other."""

from pathlib import Path

import pytest

from coronet_core.support.errors import ParamsError
from tasks.runtime.params.checks import read_params
from tests.tasks.test_params import changed


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"cin__fusion": "networks"}, "cin.fusion = networks: allowed: planes, as cin.input is residual_tensor"),
        ({"cin__member_images": "folds"}, "cin.members = 1: allowed: 2 or more, as cin.member_images is folds"),
        ({"cin__epochs": 0}, "cin.epochs = 0: allowed: 1 or more, as cin.head_start is random"),
        ({"cin__epochs": 0, "cin__head_start": ...}, "cin.epochs = 0: allowed: 1 or more, as cin.head_start is random"),
        (
            {"cin__head_start": "logistic_regression", "cin__best_by": "training_accuracy"},
            "cin.best_by = training_accuracy: allowed: a validation figure, as the start of training has no other",
        ),
        (
            {"cin__architecture": "dark_covid_net", "cin__pretrained": "imagenet"},
            "cin.pretrained = imagenet: allowed: none, as dark_covid_net has no ImageNet weights",
        ),
        (
            {"cin__architecture": "dark_covid_net", "cin__pretrained": "none", "cin__head_input": "middle_blocks"},
            "cin.head_input = middle_blocks: allowed: last_block, as dark_covid_net has no such blocks",
        ),
        (
            {"cin__architecture": "inception_v3"},
            "data.image_size_px = 64: allowed: 112 or more, as cin.architecture is inception_v3",
        ),
        (
            {"cin__epochs": 0, "cin__head_start": "logistic_regression", "cin__augmentation": {"shift": 0.1}},
            "cin.augmentation: allowed: zeros, as cin.epochs is 0 and nothing is trained on augmented images",
        ),
        (
            {"cin__epochs": 2, "cin__warm_up_epochs": 2.5},
            "cin.warm_up_epochs = 2.5: allowed: at most cin.epochs (2)",
        ),
    ],
)
def test_options_of_the_classifier_that_exclude_each_other_are_refused(
    tmp_path: Path, change: dict[str, object], fault: str
) -> None:
    with pytest.raises(ParamsError) as caught:
        read_params(changed(tmp_path, **change))
    assert str(caught.value).endswith(f"params.yaml: {fault}")
