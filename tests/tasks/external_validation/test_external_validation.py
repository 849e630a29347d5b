"""A model on labelled images from elsewhere: the same figures as `evaluate`."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coronet_core.audits.verdict import ONE_SOURCE
from coronet_core.common.classes import CLASSES
from coronet_core.support.errors import DataError, ParamsError
from tasks.audit import stage as audit
from tasks.external_validation.labelled_folder import LabelledFolder
from tasks.external_validation.labelled_images import read_labelled
from tasks.external_validation.masked_views import NO_SOURCE_RULE
from tasks.external_validation.overlap import NO_PIXELS, NOT_CHECKED
from tasks.external_validation.result_folder import FILES, require_result_folder, write_results
from tasks.external_validation.tested_model import LAST_RUN, TestedModel
from tasks.external_validation.validation import Validation
from tasks.registry.versions import Version
from tasks.runtime.files import read_json
from tasks.runtime.params.checks import read_params
from tasks.runtime.params.schema import EvaluateParams
from tasks.runtime.paths import AUDIT, MANIFEST, METRICS, PREDICTIONS
from tasks.runtime.stage_context import StageContext
from tasks.runtime.tracking.mlflow_delivery import deliver
from tasks.runtime.tracking.stage_run import StageRun
from tests.tasks.external_run import (
    KNOWN,
    UNKNOWN,
    Labelled,
    Records,
    from_elsewhere,
    reasons,
    validated,
    write_folder,
)


def test_the_figures_are_those_of_the_stage_evaluate(by_unknown: Validation) -> None:
    found, expected = by_unknown.summary["metrics"], read_json(METRICS)
    assert found["images"] == expected["images"] > 0
    assert found["confusion_matrix"] == expected["confusion_matrix"]
    for name in ("accuracy", "balanced_accuracy", "mcc"):
        assert found[name] == pytest.approx(expected[name])
        assert found["intervals"].get(name) == pytest.approx(expected["intervals"].get(name), abs=0.25)
    for name in ("sensitivity", "specificity", "sensitivity_interval", "specificity_interval", "roc_auc"):
        for label in CLASSES:
            assert found[name][label] == pytest.approx(expected[name][label]), (name, label)
    assert found["calibration"]["temperature"] == expected["calibration"]["temperature"]
    assert found["calibration"]["after"] == pytest.approx(expected["calibration"]["after"], abs=1e-3)
    for share in ("abstained", "coverage"):
        assert found["abstention"][share]["share"] == expected["abstention"][share]["share"]
    assert found["out_of_distribution"]["all"] == expected["out_of_distribution"]["all"]
    for points in (found, expected):
        points["at"] = points["operating_points"]["at_validation_threshold"]
    assert (found["at"]["sensitivity"], found["at"]["threshold"]) == (
        expected["at"]["sensitivity"],
        expected["at"]["threshold"],
    )


def test_scores_with_parts_hidden_are_those_of_the_audit(by_unknown: Validation, context: StageContext) -> None:
    audit.run(replace(context, name="audit"))
    found, expected = by_unknown.summary["audit"]["views"], read_json(AUDIT)["views"]
    assert list(found) == list(expected)
    for view, scored in found.items():
        for name in ("accuracy", "balanced_accuracy", "roc_auc_macro"):
            assert scored["network"][name] == pytest.approx(expected[view]["network"][name]), (view, name)
    assert len({scored["network"]["roc_auc_macro"] for scored in found.values()}) > 1


def test_the_verdict_is_that_of_the_audit_but_for_the_source(by_unknown: Validation, context: StageContext) -> None:
    audit.run(replace(context, name="audit"))
    found, expected = by_unknown.summary["audit"]["verdict"], read_json(AUDIT)["verdict"]
    assert found["findings"] == expected["findings"]
    assert (found["passed"], found["limits"]) == (expected["passed"], expected["limits"])
    assert [one for one in found["not_checked"] if one != NO_SOURCE_RULE] == [
        one for one in expected["not_checked"] if one != ONE_SOURCE
    ]
    assert NO_SOURCE_RULE in found["not_checked"]


def test_predictions_are_those_of_the_stage_evaluate(by_unknown: Validation) -> None:
    columns = [f"logit_{label}" for label in CLASSES]
    found, expected = (
        table.sort_values("patient_id") for table in (by_unknown.predictions, pd.read_parquet(PREDICTIONS))
    )
    assert found["patient_id"].tolist() == expected["patient_id"].tolist()
    assert len(set(expected["predicted"])) > 1
    np.testing.assert_allclose(found[columns], expected[columns], atol=1e-4)


def test_a_package_with_nothing_to_compare_with_says_so(by_unknown: Validation) -> None:
    summary = by_unknown.summary
    assert NOT_CHECKED in summary["notes"]
    assert summary["overlap"]["training_images"] is None
    assert summary["overlap"]["checked"] == []
    assert summary["internal_test"] is None
    assert any("nothing to compare with" in note for note in summary["notes"])
    assert summary["figures"]["accuracy"]["internal"] is None


def test_the_own_test_split_does_not_differ_from_itself(by_known: Validation) -> None:
    summary = by_known.summary
    assert summary["overlap"]["own_test_images"] == summary["metrics"]["images"]
    assert summary["overlap"]["left_out"] == 0
    assert any("of the model's own test split" in warning for warning in summary["warnings"])
    for figure in summary["figures"].values():
        assert figure["difference"] is None or figure["difference"] == pytest.approx(0, abs=1e-3)
    low, high = summary["figures"]["accuracy"]["interval"]
    assert low < 0 < high
    assert "there is no interval of the difference." in summary["conclusions"][0], "two patients of each class"


def test_the_project_s_last_run_is_the_model_without_a_name(own_test: Path, by_known: Validation) -> None:
    found = Validation.of(LabelledFolder.of(own_test), TestedModel.of(None), own_test.with_name("work")).summary
    assert found == by_known.summary | {"model": {"name": LAST_RUN, "digest": by_known.summary["model"]["digest"]}}


def test_subgroups_are_those_of_the_table(records: Records, tmp_path: Path) -> None:
    assert records
    images = [replace(one, view="AP" if place % 2 else "PA", age="30") for place, one in enumerate(from_elsewhere())]
    groups = validated(write_folder(tmp_path / "ward", images)).summary["metrics"]["subgroups"]
    assert {grouping: {name: one["images"] for name, one in found.items()} for grouping, found in groups.items()} == {
        "source": {"ward": 6},
        "view": {"AP": 3, "PA": 3},
        "sex": {"F": 6},
        "age_group": {"18-39": 6},
    }


def test_a_class_without_images_leaves_the_other_figures(records: Records, tmp_path: Path) -> None:
    assert records
    images = [one for one in from_elsewhere() if one.label != "covid19"]
    summary = validated(write_folder(tmp_path / "ward", images)).summary
    assert summary["metrics"]["sensitivity"]["covid19"] is None
    assert summary["metrics"]["specificity"]["covid19"] is not None
    assert any("No image of COVID-19" in warning and "Add images of it." in warning for warning in summary["warnings"])


def test_images_that_a_killed_run_has_read_are_not_read_again(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert records
    folder, tested = LabelledFolder.of(write_folder(tmp_path / "ward", from_elsewhere(1))), TestedModel.of(str(KNOWN))
    before = read_labelled(folder, tested, tmp_path / "work")
    monkeypatch.setattr("coronet_core.data.ingest.Decoders.decode", None)
    again = read_labelled(folder, tested, tmp_path / "work")
    assert again.rows["sha256"].tolist() == before.rows["sha256"].tolist()
    assert (again.take(np.arange(3)) == before.take(np.arange(3))).all()


def test_a_folder_without_a_readable_image_is_refused(records: Records, tmp_path: Path) -> None:
    assert records
    bad = [Labelled(f"{label}.png", b"not an image", label, label) for label in CLASSES]
    with pytest.raises(DataError, match=r"none of 3 images can be read \(the first, covid19\.png: not an image\)"):
        validated(write_folder(tmp_path / "ward", bad))


def test_a_package_that_does_not_say_how_it_was_evaluated_needs_params(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert records
    tested = replace(TestedModel.of(str(KNOWN)), params={"seed": 1, "evaluate": {"batch_size": 4}})
    assert tested.section("evaluate", EvaluateParams) == read_params().evaluate
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParamsError, match=r"params\.yaml: no such parameter file"):
        tested.section("evaluate", EvaluateParams)


def test_the_results_are_a_page_json_and_tables(mixed: Validation, tmp_path: Path) -> None:
    out = tmp_path / "results"
    for _ in range(2):  # the second time in place of the first
        require_result_folder(out)
        write_results(mixed, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    assert json.loads((out / "validation.json").read_text()) == mixed.summary
    table = pd.read_csv(out / "predictions.csv")
    assert len(table) == 5
    np.testing.assert_allclose(table["logit_covid19"], mixed.predictions["logit_covid19"])
    assert dict(zip(*(pd.read_csv(out / "left_out.csv")[c] for c in ("file", "reason")), strict=True)) == reasons(mixed)
    assert (out / "left_out.csv").stat().st_mode & 0o077 == 0


def test_the_page_needs_nothing_else_and_names_no_file(by_known: Validation, mixed: Validation, tmp_path: Path) -> None:
    for name, found in {"known": by_known, "mixed": mixed}.items():
        write_results(found, tmp_path / name)
        page = (tmp_path / name / "validation.html").read_text()
        assert re.findall(r'(?:src|href)="(?!data:image/png;base64,|#)|<script[^>]|https?://', page) == []
        assert page.count("<img") == len(re.findall(r'<img src="[^"]+" alt="[^"]+"', page)) == 6
        assert "not a medical device" in page
        assert ".pgm" not in page
        opened = re.findall(r'<section id="(\w+)"><details( open)?><summary><h2>', page)
        folded = [(section, "") for section in ("internal", "results", "subgroups", "calibration", "audit")]
        assert opened == [("images", " open"), *folded]
    assert '<tr><th scope="row" class="wrap">training image, the same file</th><td>1</td></tr>' in page
    assert '<tr><th scope="row" class="wrap">unreadable: not an image</th><td>1</td></tr>' in page
    assert "18 training and validation images of the model" in page
    assert "Shortcut audit: " in page
    assert NO_SOURCE_RULE in unescape(page)
    assert '<tr class="paper"><th scope="row">internal test</th>' in page


def test_a_page_with_nothing_to_compare_with_says_so(by_unknown: Validation, tmp_path: Path) -> None:
    hostile = by_unknown.summary | {"folder": "<script>alert(1)</script>"}
    write_results(replace(by_unknown, summary=hostile), tmp_path / "out")
    page = (tmp_path / "out" / "validation.html").read_text()
    assert page.count("<script") == 1, "the page's own"
    assert unescape(page).count(NOT_CHECKED) == 1
    assert "Overlap with the training images was not checked." in page
    assert "Not possible: the figures of the model's own test split are not available here." in unescape(page)
    assert "internal test</th>" not in page


def test_a_registered_version_is_compared_by_what_mlflow_has_of_its_runs(
    records: Records, own_test: Path, mlflow_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert records, mlflow_store
    monkeypatch.setattr("tasks.runtime.tracking.stage_run.deliver", deliver)
    tags = {}
    for stage, artifacts in {"build_split": [MANIFEST], "evaluate": [METRICS, PREDICTIONS]}.items():
        with StageRun(stage, {}) as run:
            for path in artifacts:
                run.artifact(path)
        tags[f"run.{stage}"] = str(run.run_id)
    version = Version(number=1, digest="", aliases=(), tags=tags, run_id=None, created=datetime.now(UTC))
    tested = replace(TestedModel.of(str(UNKNOWN)), version=version)
    summary = Validation.of(LabelledFolder.of(own_test), tested, own_test.with_name("work")).summary
    assert summary["internal_test"]["images"] == summary["overlap"]["own_test_images"] == summary["metrics"]["images"]
    assert summary["overlap"]["checked"] == ["images", "patients"]
    assert NO_PIXELS in summary["notes"]
    assert summary["figures"]["accuracy"]["interval"] is not None


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match=r"contains thesis\.tex, so it is not a folder of a validation"):
        require_result_folder(tmp_path)
    with pytest.raises(DataError, match=r"thesis\.tex: a file"):
        require_result_folder(tmp_path / "thesis.tex")
