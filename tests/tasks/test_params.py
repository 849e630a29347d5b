"""Parameter files: presets that hold, faults that are all said at once, keys that are all used."""

import ast
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from coronet_core.data.class_names import ALIASES
from coronet_core.support.errors import ParamsError
from tasks.runtime.params import data, explain, schema
from tasks.runtime.params import schema as promotion
from tasks.runtime.params.checks import read_params
from tests.conftest import PROJECT

DEMO = PROJECT / "params.yaml"
BASE = PROJECT / "params" / "base.yaml"
PRESETS = [DEMO, *(path for path in sorted((PROJECT / "params").glob("*.yaml")) if path != BASE)]


def folder(**changes: Any) -> dict[str, Any]:
    return {"kind": "image_folder", "folder": "xray", "labels_csv": None, "patient_id_pattern": None} | changes


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


def changed(tmp_path: Path, **changes: Any) -> Path:
    """The demo's params with `section__key=value` changes; a value of `...` removes the key."""
    values = YAML(typ="safe").load(DEMO.read_text())
    for place, value in changes.items():
        *sections, key = place.split("__")
        target = values
        for section in sections:
            target = target[section]
        if value is ...:
            del target[key]
        else:
            target[key] = value
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML().dump(values, file)
    return path


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_hold(preset: Path) -> None:
    assert read_params(preset).seed == 2020


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_training_computes_in_what_the_hardware_has_and_the_released_code_in_float32(preset: Path) -> None:
    params = read_params(preset)
    expected = "fp32" if preset.stem == "reference" else "auto"
    assert (params.autoencoder.precision, params.cin.precision) == (expected, expected)
    assert params.residuals.precision == "fp32"


def test_presets_are_those_of_the_documentation() -> None:
    assert [path.stem for path in PRESETS] == [
        "params",
        "covidx_2020-03-28",
        "covidx_2020-04-15",
        "demo",
        "paper",
        "reference",
        "xray",
    ]


def test_reference_reproduces_the_released_code() -> None:
    reference = read_params(PROJECT / "params" / "reference.yaml")
    assert reference.autoencoder.latent == "coarsest"
    assert reference.autoencoder.batch_size * 32 * reference.autoencoder.epoch_fraction == 1
    assert {reference.autoencoder.precision, reference.residuals.precision, reference.cin.precision} == {"fp32"}
    assert reference.cin.class_weights == [2.0, 2.0, 250.0]


@pytest.mark.parametrize(
    ("preset", "mask_blur_radius_px", "tv_norm"),
    [("paper", 5.0, "isotropic"), ("reference", 0.0, "anisotropic")],
    ids=["Fong and Vedaldi", "the co-author's later code"],
)
def test_presets_have_the_settings_of_both_explainers(preset: str, mask_blur_radius_px: float, tv_norm: str) -> None:
    assert asdict(read_params(PROJECT / "params" / f"{preset}.yaml").explain.perturbation) == {
        "mask_size_px": 28,
        "mask_blur_radius_px": mask_blur_radius_px,
        "null_blur_radius_px": 10.0,
        "l1_weight": 1e-4,
        "tv_weight": 1e-2,
        "tv_beta": 3.0,
        "tv_norm": tv_norm,
        "learning_rate": 0.1,
        "iterations": 300,
        "jitter_px": 3,
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"cin__epochs": -1}, "cin.epochs = -1: allowed: a whole number from 0 to 10000"),
        ({"cin__epochs": "ten"}, 'cin.epochs = "ten": allowed: a whole number from 0 to 10000'),
        ({"cin__epochs": 2.5}, "cin.epochs = 2.5: allowed: a whole number from 0 to 10000"),
        ({"cin__learning_rate": ...}, "cin.learning_rate: missing. Add it; params/base.yaml shows every key."),
        (
            {"data__sources": [{"kind": "image_folder"}]},
            "data.sources.0.folder: missing. Add it; the presets for X-rays show every key.",
        ),
        ({"cin__learning_rte": 1}, "cin.learning_rte = 1: unknown key. Did you mean learning_rate?"),
        (
            {
                "data__split": {
                    "by": "folds",
                    "folds": 3,
                    "fold": 4,
                    "unit": "patients",
                    "validation_fraction": 0.2,
                }
            },
            "data.split.fold = 4: allowed: a whole number from 1 to data.split.folds (3)",
        ),
        ({"data__image_size_px": 60}, "data.image_size_px = 60: allowed: a multiple of 8 from 64 to 2048"),
        (
            {"data__split__test_fraction": 1.0},
            "data.split.test_fraction = 1.0: allowed: a number above 0 and below 1",
        ),
        ({"data__split": {"by": "chance"}}, "data.split.by = \"chance\": allowed: 'patients', 'test_patients', 'publ"),
        ({"data__split": {"test_fraction": 0.1}}, "data.split.by = null: allowed: one of the kinds that the presets"),
        ({"data__split__leaks": "keep"}, 'data.split.leaks = "keep": unknown key.'),
        ({"data__aspect": "squeeze"}, "data.aspect = \"squeeze\": allowed: 'stretch', 'crop' or 'pad'"),
        ({"data__sources": [{"kind": "pacs"}]}, 'data.sources.0.kind = "pacs": allowed: '),
        ({"autoencoder__latent": "fine"}, "autoencoder.latent = \"fine\": allowed: 'pyramid' or 'coarsest'"),
        (
            {"autoencoder__epochs": 0},
            "autoencoder.epochs = 0: allowed: 1 or more, unless autoencoder.pretrained names weights",
        ),
        (
            {"autoencoder__pretrained": {"healthy": "gone.pth", "pneumonia": "params.yaml"}},
            'autoencoder.pretrained.healthy = "gone.pth": allowed: a file that exists',
        ),
        ({"autoencoder__pretrained": {"healthy": "params.yaml"}}, "autoencoder.pretrained.pneumonia: missing"),
        ({"autoencoder__skip_dropout": 1.1}, "autoencoder.skip_dropout = 1.1: allowed: a number from 0 to 1"),
        ({"autoencoder__latent_channels": 0}, "autoencoder.latent_channels = 0: allowed: a whole number from 1 to 64"),
        ({"autoencoder__finest_stride": 3}, "autoencoder.finest_stride = 3: allowed: 1, 2, 4 or 8"),
        ({"autoencoder__hidden_fraction": 1.0}, "autoencoder.hidden_fraction = 1.0: allowed: a number from 0 to 0.95"),
        ({"cin__class_weights": [1.0, 2.0]}, "cin.class_weights = [1.0, 2.0]: allowed: "),
        (
            {"cin__pretrained": "gone.pth"},
            'cin.pretrained = "gone.pth": allowed: imagenet, none, or a file that exists',
        ),
        (
            {"explain__perturbation__mask_size_px": 65},
            "explain.perturbation.mask_size_px = 65: allowed: at most data.image_size_px (64)",
        ),
        (
            {"explain__occlusion__stride_px": 17},
            "explain.occlusion.stride_px = 17: allowed: at most explain.occlusion.window_px (16)",
        ),
        ({"explain__methods": ["grad_cam"]}, 'explain.methods = ["grad_cam"]: allowed: perturbation and any of'),
        (
            {"audit__lungs_box": [0.9, 0.1, 0.1, 0.9]},
            "audit.lungs_box = [0.9, 0.1, 0.1, 0.9]: allowed: left, top, right",
        ),
        ({"audit__lungs_box": [0.1, 0.1, 0.9]}, "audit.lungs_box = [0.1, 0.1, 0.9]: allowed: left, top, right, bottom"),
        ({"data__root": ""}, 'data.root = "": allowed: the path of a folder'),
        (
            {"data__sources": [folder(folder="../x")]},
            'data.sources.0.folder = "../x": allowed: a relative path without',
        ),
        ({"data__sources": [folder(patient_id_pattern="^P(")]}, "data.sources.0.patient_id_pattern = "),
        ({"calibrate__miscoverage": 0.5}, "calibrate.miscoverage = 0.5: allowed: a number above 0 and below 0.5"),
        ({"evaluate__specificities": [0.9, 1.0]}, "evaluate.specificities.1 = 1.0: allowed: a number above 0 and"),
        (
            {"promotion__min_sensitivity__covid19": 90},
            "promotion.min_sensitivity.covid19 = 90: allowed: a number from 0 to 1",
        ),
        ({"promotion__approval": "never"}, "promotion.approval = \"never\": allowed: 'auto' or 'manual'"),
        (
            {"data__sources": [folder(used_by="autoencoders")]},
            "data.sources: allowed: at least one that is not used_by autoencoders alone",
        ),
        ({"data__sources": [folder(used_by="cin")]}, 'data.sources.0.used_by = "cin": allowed: '),
        ({"data__sources": []}, "data.sources = []: allowed: a list of 1 or more"),
        ({"data__sources": "phantom"}, 'data.sources = "phantom": allowed: a list'),
        ({"data__sources": [None]}, "data.sources.0 = null: allowed: a section of keys"),
        ({"cin__class_weights": [1, 0, 1]}, "cin.class_weights = [1, 0, 1]: allowed: 'inverse_frequency' or 'equal'"),
        ({"cin": None}, "cin = null: allowed: a section of keys"),
        ({"cin__horizontal_flip": ["flu"]}, "cin.horizontal_flip.0 = \"flu\": allowed: 'healthy', 'pneumonia' or"),
    ],
)
def test_a_fault_names_file_key_value_and_what_is_allowed(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    path = changed(tmp_path, **change)
    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert str(caught.value).startswith(f"{path}: {fault}")


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        seed=-1,
        device="tpu",
        cin__epochs=-1,
        residuals__batch_size=...,
        explain__perturbation__mask_size_px=99,
    )
    with pytest.raises(ParamsError) as caught:
        read_params(path)
    assert len(str(caught.value).splitlines()) == 5


def test_exponents_without_a_point_are_numbers(tmp_path: Path) -> None:
    path = changed(tmp_path)
    path.write_text(path.read_text().replace("learning_rate: 0.002", "learning_rate: 2e-3"))
    assert read_params(path).autoencoder.learning_rate == 0.002


@pytest.mark.parametrize(("text", "fault"), [("a: [", "not valid YAML"), ("", "the file = null"), ("- 1", "the file")])
def test_what_is_no_parameter_file_is_an_error(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamsError, match=fault):
        read_params(tmp_path / "params.yaml")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="no such parameter file"):
        read_params(tmp_path / "params.yaml")


def test_every_key_is_used() -> None:
    used = set()
    for path in [path for package in ("coronet_core", "tasks", "flows") for path in (PROJECT / package).rglob("*.py")]:
        if path.parent.name != "params" or path.name == "ranges.py":
            used |= {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    names = vars(data) | vars(explain) | vars(promotion) | vars(schema)
    sections = [value for value in names.values() if isinstance(value, type) and is_dataclass(value)]
    by_name = {"healthy", "pneumonia", "covid19"}  # patients of the phantom, read by the class's name
    unused = {field.name for section in sections for field in fields(section)} - used - by_name - {"kind", "by"}
    assert unused == set()


def test_a_file_of_before_asks_for_no_secret_key(tmp_path: Path) -> None:
    assert not read_params(changed(tmp_path, data__require_secret_key=...)).data.require_secret_key


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_presets_for_real_x_rays_ask_for_a_secret_key(preset: Path) -> None:
    assert read_params(preset).data.require_secret_key == (preset.stem not in {"params", "demo"})


def test_params_written_before_a_key_was_there_mean_what_they_meant(tmp_path: Path) -> None:
    path = changed(tmp_path, data__oldest_age_years=..., data__sources=[folder()])
    read = read_params(path).data
    assert read.oldest_age_years is None
    (source,) = read.sources
    assert isinstance(source, data.ImageFolderSource)
    assert source.class_aliases == dict(ALIASES)


def test_the_preset_for_own_x_rays_shows_every_alias() -> None:
    (source,) = read_params(PROJECT / "params/xray.yaml").data.sources
    assert isinstance(source, data.ImageFolderSource)
    assert source.class_aliases == dict(ALIASES)


def test_an_alias_of_no_class_is_an_error(tmp_path: Path) -> None:
    path = changed(tmp_path, data__sources=[folder(class_aliases={"flu": "influenza"})])
    with pytest.raises(ParamsError, match=r"class_aliases.flu = \"influenza\": allowed: 'healthy', 'pneumonia' or 'co"):
        read_params(path)


def test_params_from_before_an_autoencoder_could_differ_mean_the_papers(tmp_path: Path) -> None:
    later = ("pretrained", "adds_image", "skip_dropout", "latent_channels", "finest_stride", "noise", "hidden_fraction")
    former = changed(tmp_path, **{f"autoencoder__{key}": ... for key in (*later, "hidden_patch_px", "ssim_weight")})
    demo = read_params(DEMO)
    papers = replace(demo.autoencoder, adds_image=True, skip_dropout=0.0, finest_stride=1)
    assert read_params(former) == replace(demo, autoencoder=papers)


def test_params_from_before_reading_rules_were_kept_mean_the_first(tmp_path: Path) -> None:
    former = changed(tmp_path, data__reading=..., data__min_grey_levels=..., data__unsuitable=...)
    assert read_params(former).data.reading == 1
    assert read_params(former).data.unsuitable == "warn"


def test_every_preset_reads_by_the_newest_rule() -> None:
    assert {read_params(preset).data.reading for preset in PRESETS if preset.name != "reference.yaml"} == {2}
