"""The registry in a real MLflow store: registered, found, fetched, promoted; loaded where the project is not."""

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from coronet_core.support.errors import CoroNetError, DataError, TransientError, WeightsError
from tasks.package.metadata import CIN, package_digest
from tasks.package.package_folder import read_package, write_package
from tasks.package.prediction_schema import PREDICTION_FIELDS
from tasks.registry.champions import set_champion
from tasks.registry.fetching import FETCHED, fetch
from tasks.registry.model_files import input_example, requirements
from tasks.registry.registration import register
from tasks.registry.version_lineage import metrics_of, params_digest, tag_name
from tasks.registry.versions import DIGEST_TAG, Version, all_versions, champion, find_version, tag_version
from tests.conftest import PROJECT
from tests.tasks.trained_model import CARD, some_lineage, untrained_model


@dataclass
class Registered:
    """A store with two packages, the first of which was registered twice."""

    store: str
    packages: tuple[Path, Path]
    first: Version
    again: Version
    second: Version


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    folder = tmp_path_factory.mktemp("registry")
    store = f"sqlite:///{folder}/mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", store)
        model = untrained_model()
        packages = (folder / "one", folder / "other")
        write_package(packages[0], model, CARD, some_lineage())
        write_package(packages[1], replace(model, batch_size=3), CARD, some_lineage())
        yield Registered(store, packages, register(packages[0]), register(packages[0]), register(packages[1]))


def test_a_package_becomes_the_challenger(registered: Registered) -> None:
    assert registered.first.aliases == ("challenger",)
    assert registered.first.digest == package_digest(registered.packages[0])


def test_the_same_package_has_the_same_version(registered: Registered) -> None:
    assert registered.again == registered.first


def test_the_next_package_is_the_next_version_and_the_challenger(registered: Registered) -> None:
    assert registered.second.number == registered.first.number + 1
    assert registered.second.aliases == ("challenger",)


def test_a_version_says_where_it_comes_from(registered: Registered) -> None:
    lineage = some_lineage()
    told = {"git.commit": lineage.commit, "git.dirty": "false", "params.digest": params_digest(lineage.params)}
    told["dvc.data/split"] = lineage.data["data/split"]
    told |= {f"training.precision.{network}": found for network, found in lineage.training_precision.items()}
    assert told.items() <= dict(registered.first.tags).items()


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("run.train_autoencoder@healthy", "run.train_autoencoder.healthy"),
        ("dvc.data/split", "dvc.data/split"),
        ("dvc./data/Röntgen (1)+", "dvc./data/R_ntgen _1__"),
    ],
)
def test_names_of_tags_are_those_that_mlflow_takes(name: str, tag: str) -> None:
    assert tag_name(name) == tag


@pytest.mark.parametrize("name", ["2", "models:/coronet/2", "challenger", "@challenger", "models:/coronet@challenger"])
def test_a_version_is_found_by_any_of_its_names(registered: Registered, name: str) -> None:
    assert find_version(name).number == registered.second.number


@pytest.mark.parametrize("name", ["7", "@nobody", "models:/coronet/7"])
def test_a_version_that_there_is_none_of_is_told_with_those_that_there_are(registered: Registered, name: str) -> None:
    last = registered.second.number
    with pytest.raises(DataError, match=f"{name}: no such version of coronet. Existing versions: 1.*, {last}"):
        find_version(name)


@pytest.mark.parametrize("name", ["", "models:/other/1", "models:/coronet", "../1", "1; drop"])
@pytest.mark.usefixtures("registered")
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="not a version name"):
        find_version(name)


def test_tags_are_added(registered: Registered) -> None:
    tag_version(registered.second, {"decision": "refused", "reason": "x" * 9000})
    tags = find_version("2").tags
    assert tags["decision"] == "refused"
    assert tags["reason"] == "x" * 5000


def test_a_server_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TransientError, match="Start the server, or correct MLFLOW_TRACKING_URI"):
        champion()


def test_a_package_is_fetched_once(registered: Registered) -> None:
    folder = fetch(registered.first)
    assert folder == FETCHED / registered.first.digest
    assert read_package(folder) == read_package(registered.packages[0])
    before = (folder / CIN).stat().st_mtime_ns
    assert (fetch(registered.first) / CIN).stat().st_mtime_ns == before


def test_a_fetched_package_that_was_damaged_is_fetched_again(registered: Registered) -> None:
    (fetch(registered.first) / CIN).write_bytes(b"")
    assert read_package(fetch(registered.first)) == read_package(registered.packages[0])


def stored_package(registered: Registered, version: Version) -> Path:
    """Where the store keeps the package of a version."""
    source = MlflowClient(registered.store).get_model_version_download_uri("coronet", str(version.number))
    return Path(source.removeprefix("file://")) / "artifacts" / "coronet"


def test_a_package_that_was_tampered_with_in_the_store_is_refused(registered: Registered) -> None:
    stored = stored_package(registered, registered.second) / CIN
    sound = stored.read_bytes()
    stored.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(WeightsError, match=r"its SHA-256 differs from that in coronet\.json"):
        fetch(registered.second)
    stored.write_bytes(sound)


def test_another_sound_package_in_the_store_is_refused(registered: Registered) -> None:
    stored = stored_package(registered, registered.second)
    write_package(stored, read_package(registered.packages[0]), CARD, some_lineage())
    with pytest.raises(WeightsError, match="artifacts differ from the registered package"):
        fetch(registered.second)
    write_package(stored, read_package(registered.packages[1]), CARD, some_lineage())
    assert package_digest(fetch(registered.second)) == registered.second.digest


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
import coronet_core
print("code from " + coronet_core.__file__)
print(json.dumps(model.predict([image]).to_dict("records")))
"""


def test_the_champion_is_loaded_where_only_the_pinned_requirements_are(registered: Registered, tmp_path: Path) -> None:
    set_champion(registered.first, champion())
    command = [sys.executable, "-I", "-c", LOADED_ELSEWHERE, "models:/coronet@champion", *input_example()]
    environment = {"MLFLOW_TRACKING_URI": registered.store, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    finished = subprocess.run(
        [*command, *requirements()], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    place, answers = finished.stdout.splitlines()[-2:]
    assert "/code/coronet_core/" in place
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


def test_a_champion_that_is_not_the_expected_one_is_left_alone(registered: Registered) -> None:
    set_champion(registered.first, champion())
    for expected in (None, registered.second):
        with pytest.raises(CoroNetError, match="the champion is version 1, not"):
            set_champion(registered.second, expected)
    assert champion() == find_version("1")


def test_a_challenger_that_becomes_the_champion_is_no_challenger(registered: Registered) -> None:
    register(registered.packages[1])
    set_champion(registered.second, champion())
    assert find_version("champion").aliases == ("champion",)
    register(registered.packages[1])
    assert find_version("champion").aliases == ("champion",)


def test_of_several_at_once_one_wins(registered: Registered) -> None:
    set_champion(registered.first, champion())
    before, n_rivals = champion(), 6
    together = Barrier(n_rivals)

    def promote(_: int) -> str:
        together.wait()
        try:
            set_champion(registered.second, before)
        except CoroNetError as error:
            return str(error)
        return "won"

    with ThreadPoolExecutor(n_rivals) as pool:
        ends = list(pool.map(promote, range(n_rivals)))
    assert ends.count("won") == 1
    assert champion() == find_version("2")


def test_who_is_overtaken_at_the_same_moment_is_told(registered: Registered, monkeypatch: pytest.MonkeyPatch) -> None:
    set_champion(registered.first, champion())
    set_alias = MlflowClient.set_registered_model_alias

    def set_and_overtake(client: MlflowClient, name: str, alias: str, version: str) -> None:
        set_alias(client, name, alias, version)
        set_alias(client, name, alias, "1")

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", set_and_overtake)
    with pytest.raises(CoroNetError, match="the champion is version 1, not version 2: it changed meanwhile"):
        set_champion(registered.second, registered.first)


KILLED_BETWEEN_THE_ALIASES = """
import os, signal
from mlflow import MlflowClient
from tasks.registry.champions import set_champion
from tasks.registry.versions import champion, find_version
MlflowClient.delete_registered_model_alias = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
set_champion(find_version("challenger"), champion())
"""


def test_after_a_kill_between_the_aliases_the_next_change_removes_the_challenger(registered: Registered) -> None:
    set_champion(registered.first, champion())
    register(registered.packages[1])
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BETWEEN_THE_ALIASES], env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert find_version("2").aliases == ("challenger", "champion")
    set_champion(registered.first, champion())
    assert (find_version("1").aliases, find_version("2").aliases) == (("champion",), ())


def test_the_entries_of_a_former_version_are_left_alone(registered: Registered) -> None:
    client = MlflowClient(registered.store)
    client.create_registered_model("coronet-champions")
    client.create_model_version("coronet-champions", "models:/coronet/2", tags={"behind": "0", "champion": "2"})
    set_champion(registered.first, champion())
    set_champion(registered.second, champion())
    (entry,) = client.search_model_versions("name='coronet-champions'")
    assert entry.tags == {"behind": "0", "champion": "2"}
    assert [version.number for version in all_versions()] == [1, 2]


@pytest.fixture
def damaged(registered: Registered) -> Iterator[str]:
    """A third version, whose digest is a path; its number."""
    client = MlflowClient(registered.store)
    number = str(client.create_model_version("coronet", "models:/coronet/1", tags={DIGEST_TAG: "/home"}).version)
    yield number
    client.delete_model_version("coronet", number)


@pytest.mark.parametrize("digest", ["/home", "..", "", "0" * 63, "0" * 64 + "\n", "\x1b[2J"])
def test_a_digest_that_is_none_is_refused_in_one_line(registered: Registered, damaged: str, digest: str) -> None:
    MlflowClient(registered.store).set_model_version_tag("coronet", damaged, DIGEST_TAG, digest)
    with pytest.raises(DataError, match=rf"^models:/coronet/{damaged}: tag package\.digest .* is refused: [^\n]*$"):
        find_version(damaged)


def test_versions_beside_a_damaged_one_are_found(
    registered: Registered, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [version.number for version in all_versions()] == [1, 2]
    assert capsys.readouterr().err.count(f"warning: models:/coronet/{damaged}: tag") == 1
    assert find_version("1").digest == registered.first.digest


def test_a_digest_that_is_a_path_names_no_folder_to_fetch_to(registered: Registered, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"digest .* is refused"):
        fetch(replace(registered.first, digest=str(tmp_path)))
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_run_that_is_none_is_not_asked_for(registered: Registered) -> None:
    hostile = replace(registered.first, tags={"run.evaluate": "../../x"})
    with pytest.raises(DataError, match=r"tag run\.evaluate '\.\./\.\./x' is refused"):
        metrics_of(hostile)


def test_the_example_is_an_image_that_is_answered() -> None:
    assert base64.b64decode(input_example()[0]).startswith(b"\x89PNG")
