"""A candidate against the champion: by what is on record if the split is the same, by testing it again if not."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from dvc.repo import Repo

from coronet_core.common.manifest import read_notes, read_rows, write_manifest
from coronet_core.support.errors import DataError
from tasks.package.package_folder import write_package
from tasks.promotion import champion_challenger as contest
from tasks.promotion.champion_challenger import comparison_with
from tasks.promotion.model_comparison import Comparison
from tasks.promotion.run_reports import Evidence
from tasks.runtime.params.schema import Params
from tasks.runtime.paths import MANIFEST, PREDICTIONS, SPLIT, SPLIT_STAGE
from tasks.runtime.tracking.provenance import dvc_hashes
from tests.conftest import PROJECT
from tests.tasks.finished_run import model_of_run, run_up_to_evaluate
from tests.tasks.trained_model import CARD, some_lineage

PACKAGE = Path("package")
CANDIDATE, CHAMPION = 2, 1


@dataclass(frozen=True)
class Run:
    """A finished run in the current folder, its networks the candidate's and the champion's alike."""

    params: Params
    candidate: Evidence

    def against(self, champion: Evidence) -> Comparison:
        return comparison_with(champion, PACKAGE, self.candidate, self.params, torch.device("cpu"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("run")
        patch.chdir(folder)
        patch.setattr("tasks.runtime.tracking.stage_run.deliver", lambda _: True)
        params = run_up_to_evaluate().params
        write_package(PACKAGE, model_of_run(params), CARD, some_lineage())
        shutil.copytree(PROJECT / ".dvc", ".dvc", ignore=shutil.ignore_patterns("cache", "tmp", "config.local"))
        for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
            shutil.copy(PROJECT / name, name)
        subprocess.run(["git", "init", "-q"], check=True)
        predictions = hashlib.md5(PREDICTIONS.read_bytes(), usedforsecurity=False).hexdigest()
        md5s = {str(SPLIT): dvc_hashes(SPLIT_STAGE)["outs"][str(SPLIT)], str(PREDICTIONS): predictions}
        candidate = Evidence(
            version=CANDIDATE,
            md5s=md5s,
            image_size_px=64,
            aspect=params.data.aspect,
            reading=params.data.reading,
        )
        yield Run(params, candidate)


def champion(run: Run, **md5s: str | None) -> Evidence:
    """The champion, with these digests in place of the candidate's; None: not on record."""
    names = {"split": str(SPLIT), "predictions": str(PREDICTIONS)}
    changed = run.candidate.md5s | {names[key]: md5 for key, md5 in md5s.items()}
    known = {path: md5 for path, md5 in changed.items() if md5 is not None}
    return replace(run.candidate, version=CHAMPION, md5s=known)


def kept_by_dvc(manifest: pd.DataFrame) -> str:
    """Have DVC's cache keep a split with this manifest; returns its digest."""
    folder = Path("former")
    folder.mkdir(exist_ok=True)
    write_manifest(manifest, folder / MANIFEST.name, read_notes(MANIFEST))
    subprocess.run([sys.executable, "-m", "dvc", "add", "-q", str(folder)], check=True)
    with Repo(".") as repo:
        (stage,) = repo.stage.load_all("former.dvc")
        md5: str = stage.outs[0].hash_info.value
    shutil.rmtree(folder)
    return md5


def test_on_the_same_split_the_predictions_on_record_are_compared(run: Run) -> None:
    found = run.against(champion(run))
    assert found.other == f"version {CHAMPION}"
    assert not any("evaluated again" in note for note in found.notes)


def test_a_champion_whose_predictions_are_lost_is_tested_again(run: Run) -> None:
    found = run.against(champion(run, predictions=None))
    assert found.notes[1:] == ("Version 1 was evaluated again, on the test images of version 2.",)
    assert found.differences["accuracy"].difference == 0  # the same networks


def test_a_champion_of_another_split_is_tested_again(run: Run) -> None:
    found = run.against(champion(run, split="0" * 32 + ".dir"))
    assert found.notes[1:] == (
        "Version 1 was evaluated again, on the test images of version 2.",
        "The split has changed since the champion was made.",
        (
            "It is unknown which patients version 1 was trained with. If some are among the test patients, it has an "
            "unfair advantage here."
        ),
    )


def test_patients_whom_the_champion_was_trained_with_do_not_count(run: Run) -> None:
    former = read_rows(MANIFEST)
    tested = former.loc[former["split"] == "test", "patient_id"].unique()
    former.loc[former["patient_id"] == tested[0], "split"] = "train"
    found = run.against(champion(run, split=kept_by_dvc(former)))
    (told,) = [note for note in found.notes if "Excluded" in note]
    assert told.endswith("of 1 patient that version 1 was trained with.")


def test_images_that_the_champion_knew_by_another_name_do_not_count(run: Run) -> None:
    """Its split had the image twice, and the copy that it did not train with is the one that is tested now."""
    former = read_rows(MANIFEST)
    tested = former[former["split"] == "test"].iloc[[0]]
    twin = tested.assign(image_id="renamed", patient_id="nobody", patient_group="nobody", split="train")
    rest = former[former["patient_id"] != tested["patient_id"].iloc[0]]
    found = run.against(champion(run, split=kept_by_dvc(pd.concat([rest, twin], ignore_index=True))))
    (told,) = [note for note in found.notes if "Excluded" in note]
    assert told.endswith("of 1 patient that version 1 was trained with.")


def test_a_split_that_is_not_here_is_told(run: Run) -> None:
    elsewhere = replace(
        run, candidate=replace(run.candidate, md5s=run.candidate.md5s | {str(SPLIT): "f" * 32 + ".dir"})
    )
    with pytest.raises(DataError, match="version 1 must be evaluated on the images of version 2, but data/split has"):
        elsewhere.against(champion(run))


def test_reports_that_are_nowhere_are_told(run: Run) -> None:
    with pytest.raises(DataError, match=r"reports/metrics.json of version 2 is neither here nor in DVC's cache"):
        run.candidate.candidate()


def test_each_sees_the_images_by_its_own_rule(run: Run) -> None:
    package = Path("first_rule")
    write_package(package, replace(model_of_run(run.params), reading=1), CARD, some_lineage())
    former = replace(champion(run, split="0" * 32 + ".dir"), reading=1)
    found = comparison_with(former, package, run.candidate, run.params, torch.device("cpu"))
    assert "Each version read the images by its own rule: version 1 by rule 1, version 2 by rule 2." in found.notes
    assert not any("cannot read" in note for note in found.notes)


def test_images_that_the_champion_cannot_read_are_left_out_of_both(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    former = replace(champion(run, split="0" * 32 + ".dir"), reading=1)
    theirs = run.candidate.predictions()
    assert theirs is not None
    fewer = replace(theirs, images=theirs.images.iloc[1:], truth=theirs.truth[1:], logits=theirs.logits[1:])
    monkeypatch.setattr(contest, "predict_test_images", lambda *_: fewer)
    found = run.against(former)
    assert "1 image is excluded from the comparison: the rule of version 1 cannot read them." in found.notes
    assert found.differences["accuracy"].difference == 0


def test_the_rule_of_a_package_is_in_its_evidence(run: Run) -> None:
    assert Evidence.of_package(CHAMPION, PACKAGE).reading == run.params.data.reading
