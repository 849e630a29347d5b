"""The registered model, loaded by MLflow: where the project is not, with images in any form."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from tasks.package.prediction_schema import PREDICTION_FIELDS
from tasks.registry.model_requirements import requirements
from tasks.registry.model_signature import input_example
from tests.tasks.registry.conftest import Registered, stored_package
from tests.tasks.trained_model import CARD

LOADED_ELSEWHERE = """
import json, re, sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
from importlib.metadata import packages_distributions, requires
from importlib.util import find_spec

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()

uri, image, *pinned = sys.argv[1:]
allowed, waiting = set(), {plain(one.partition("==")[0]) for one in pinned}
while waiting:
    allowed.add(name := waiting.pop())
    needed = {re.match(r"[\\w.-]+", one)[0] for one in requires(name) or [] if "extra ==" not in one}
    known = {plain(one) for names in packages_distributions().values() for one in names}
    waiting |= ({plain(one) for one in needed} & known) - allowed
homes = {module: {plain(one) for one in names} for module, names in packages_distributions().items()}
OWN = ("coronet_core", "tasks", "flows")

class OnlyWhatIsPinned(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        root = name.partition(".")[0]
        is_hidden = root not in OWN and root in homes and not homes[root] & allowed
        return None if is_hidden else PathFinder.find_spec(name, path, target)

sys.meta_path = [BuiltinImporter, FrozenImporter, OnlyWhatIsPinned]
sys.path = [entry for entry in sys.path if "editable" not in entry]
assert not any(map(find_spec, OWN))
import mlflow
model = mlflow.pyfunc.load_model(uri)
answers = model.predict([image]).to_dict("records")
import coronet_core
print("code from " + coronet_core.__file__)
imported = {name.partition(".")[0] for name in sys.modules}
print(json.dumps([one for name in imported for one in homes.get(name, [])]))
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_the_model_is_loaded_where_only_its_requirements_are_and_uses_them_all(
    registered: Registered, tmp_path: Path
) -> None:
    model = stored_package(registered, registered.first).parents[1]
    command = [sys.executable, "-I", "-c", LOADED_ELSEWHERE, str(model), *input_example()]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    finished = subprocess.run(
        [*command, *requirements()], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    place, used, answers = finished.stdout.splitlines()[-3:]
    assert "/code/coronet_core/" in place
    assert {one.partition("==")[0] for one in requirements()} <= set(json.loads(used))
    (answer,) = json.loads(answers)
    assert answer["error"] is None
    assert sum(answer[f"calibrated_{name}"] for name in ("healthy", "pneumonia", "covid19")) == pytest.approx(1)


@pytest.fixture(scope="module")
def loaded(registered: Registered) -> Any:
    return mlflow.pyfunc.load_model(f"models:/coronet/{registered.first.number}")


IMAGE = np.random.default_rng(0).integers(0, 255, (90, 70), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "n_images"),
    [
        (IMAGE, 1),
        (np.dstack([IMAGE] * 3), 1),
        (np.dstack([IMAGE] * 4), 1),
        (np.stack([IMAGE, IMAGE]), 2),
        ([IMAGE, IMAGE.astype(np.uint16)], 2),
        (base64.b64decode(input_example()[0]), 1),
        (input_example()[0], 1),
        (input_example() * 3, 3),
        (pd.DataFrame({"name": ["a", "b"], "image": [IMAGE, input_example()[0]]}), 2),
        (pd.DataFrame({"anything": input_example()}), 1),
        ({"image": input_example()}, 1),
        ([{"image": input_example()[0]}], 1),
    ],
    ids=["grey", "RGB", "RGBA", "stack", "arrays", "bytes", "base64", "list", "frame", "column", "dict", "records"],
)
def test_the_loaded_model_takes_images_in_any_form(loaded: Any, given: Any, n_images: int) -> None:
    answers = loaded.predict(given)
    assert len(answers) == n_images
    assert answers["error"].isna().all(), answers["error"].tolist()
    assert answers["calibrated_healthy"].between(0, 1).all()


def test_the_loaded_model_answers_beside_a_bad_image(loaded: Any, tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(base64.b64decode(input_example()[0]))
    answers = loaded.predict([tmp_path / "scan.png", str(tmp_path / "scan.png"), b"none"])
    assert answers["error"].isna().tolist() == [True, False, False]
    assert answers["predicted"].isna().tolist() == [False, True, True]


def test_who_loads_the_model_may_let_strings_name_files(registered: Registered, tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes(base64.b64decode(input_example()[0]))
    model = mlflow.pyfunc.load_model(f"models:/coronet/{registered.first.number}", model_config={"read_paths": True})
    answers = model.predict([str(tmp_path / "scan.png"), (tmp_path / "scan.png").as_uri()])
    assert answers["error"].isna().tolist() == [True, False]


def test_the_model_has_signature_example_card_and_no_pickle(registered: Registered, loaded: Any) -> None:
    signature = loaded.metadata.signature
    assert [column.name for column in signature.outputs.inputs] == [field.name for field in PREDICTION_FIELDS]
    assert loaded.input_example == input_example()
    assert loaded.metadata.metadata["model_card"] == CARD
    stored = stored_package(registered, registered.first).parents[1]
    assert {path.suffix for path in stored.rglob("*")} & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".joblib"} == set()


def test_the_example_is_an_image_that_is_answered() -> None:
    assert base64.b64decode(input_example()[0]).startswith(b"\x89PNG")
