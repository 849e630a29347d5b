"""The report and the model card of a small run: whole without a network, whatever the data lack or are called."""

import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from PIL import Image

from coronet_core.common.classes import CLASSES
from tasks.report import stage as report
from tasks.report.alternative_text import ALT_KEY
from tasks.report.pages import number
from tasks.report.stage import SECTIONS
from tasks.runtime.paths import (
    AUDIT,
    EXPLANATION_MEASURES,
    FIGURES,
    METRICS,
    MODEL_CARD,
    SPLIT_REPORT,
)
from tasks.runtime.stage_context import StageContext
from tests.tasks.report.conftest import HOSTILE, Changed

FIGURE_NAMES = {
    "training_AE_H", "training_AE_P", "training_CIN", "reconstructions", "confusion", "roc", "precision_recall",
    "subgroups", "reliability", "masked_views", "attribution", "deletion_and_insertion",
}  # fmt: skip
LARGEST_PAGE = 2_500_000
"""Bytes: small enough for an e-mail."""


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    assert re.findall(r'(?:src|href|srcset|action)="(?!data:image/(?:png|webp);base64,|#)', page) == []
    assert re.findall(r"<script[^>]|<link|@import|url\(|https?://", page) == []
    assert len(page) < LARGEST_PAGE


def test_every_figure_is_there_and_says_what_it_shows(page: str) -> None:
    alts = re.findall(r'<img src="data:image/png;base64,[^"]+" alt="([^"]+)"', page)
    assert len(alts) == len(FIGURE_NAMES) == page.count('<img src="data:image/png')
    assert len(set(alts)) == len(alts)


def test_figures_are_files_that_carry_the_same_text(page: str) -> None:
    assert {path.stem for path in FIGURES.iterdir()} == FIGURE_NAMES
    for path in FIGURES.iterdir():
        with Image.open(path) as image:
            assert image.info[ALT_KEY] in unescape(page)


def test_every_part_has_an_entry_in_the_contents(page: str) -> None:
    assert re.findall(r'<a href="#(\w+)">', page) == re.findall(r'<section id="(\w+)">', page) == list(SECTIONS)


def test_what_it_is_not_stands_before_the_figures(page: str) -> None:
    assert page.index("not a medical device") < page.index("<main>")
    assert page.index("procedural phantoms") < page.index("<main>")


def test_accuracy_stands_with_its_interval(page: str) -> None:
    metrics = json.loads(METRICS.read_text())
    low, high = (f"{100 * end:.1f}" for end in metrics["accuracy_interval"])
    assert f"<td>{100 * metrics['accuracy']:.2f}<small>{low}–{high}</small></td>" in page
    assert f"{low}–{high}" in page[: page.index("<main>")]


def test_specificity_stands_beside_sensitivity_with_its_interval(page: str) -> None:
    metrics = json.loads(METRICS.read_text())
    group = metrics["subgroups"]["source"]["phantom"]
    for figures in (metrics, group):
        for label in CLASSES:
            low, high = (f"{100 * end:.1f}" for end in figures["specificity_interval"][label])
            assert f"<td>{100 * figures['specificity'][label]:.2f}<small>{low}–{high}</small></td>" in page
    beginning = page[: page.index("<main>")]
    assert beginning.index("COVID-19 sensitivity") < beginning.index("COVID-19 specificity")


def test_sections_are_folded_but_the_first_and_open_in_print(page: str) -> None:
    opened = re.findall(r'<section id="(\w+)"><details( open)?><summary><h2>', page)
    assert opened == [(anchor, " open" if anchor == "results" else "") for anchor in SECTIONS]
    assert "details::details-content { content-visibility: visible" in page[page.index("@media print") :]


def test_page_and_card_name_the_number_formats_of_the_training(page: str, card: str) -> None:
    formats = "AE_H bfloat16, AE_P bfloat16, CIN float32"
    assert formats in page
    assert formats in card


def test_paper_and_run_stand_side_by_side(page: str) -> None:
    assert all(figure in page for figure in ("93.50", "93.63", "93.51", "95.48", "91.87", "96.14", "(845)"))


def test_one_table_has_every_measure_of_every_method(page: str) -> None:
    table = page[page.index("Measures by method") :]
    rows = dict(re.findall(r'<tr><th scope="row" class="wrap">(.+?)</th>(.+?)</tr>', table[: table.index("</table>")]))
    measured = json.loads(EXPLANATION_MEASURES.read_text())["methods"]
    assert {row.count("<td>") for row in rows.values()} == {len(measured)}
    for name, key in (
        ("deletion minus centre (negative is better)", "deletion_vs_centre"),
        ("insertion minus centre (positive is better)", "insertion_vs_centre"),
    ):
        assert f"<td>{number(measured['perturbation'][key], 2)}<small>" in rows[name]
    random = measured["perturbation"]["randomisation"]
    for network, level in (("CIN", "cin.conv1"), ("AE_H", "tfen.healthy"), ("AE_P", "tfen.pneumonia")):
        row = rows[f"rank correlation with random weights in the whole {network} (near 0 is better)"]
        assert row.startswith(f"<td>{number(random[level], 2)}</td>")
        assert row.endswith("<td>–</td>"), "the centre map has none"


def test_the_randomisation_test_names_layers_in_words(page: str) -> None:
    for level in ("CIN, from its last layer down to fc", "down to layer 4", "autoencoder of pneumonia alone"):
        assert f"{level}</th><td>" in page


def test_images_that_were_chosen_for_their_boxes_are_not_called_random(page: str) -> None:
    assert "chosen at random, and up to 1 further images that have boxes and were classified correctly;" in page


@pytest.mark.usefixtures("drawn_before")
def test_a_failed_audit_is_told_at_the_top(changed: Changed) -> None:
    changed.reports[AUDIT]["verdict"] |= {"passed": False, "findings": ["80% of the skill comes from the border."]}
    page, card = changed.page_and_card()
    beginning = page[: page.index("<main>")]
    assert "Shortcut audit: not passed" in beginning
    assert "80% of the skill comes from the border." in beginning
    assert "**not passed**" in card


def test_a_look_up_of_the_source_stands_beside_the_network(changed: Changed) -> None:
    scored = changed.reports[AUDIT]["views"]["as_is"]["network"] | {
        "accuracy": 0.875,
        "accuracy_interval": [0.75, 0.95],
        "balanced_accuracy": 0.8125,
        "balanced_accuracy_interval": [0.7, 0.9],
        "retained": {"balanced_accuracy": 0.5, "roc_auc": None},
    }
    changed.reports[AUDIT]["columns"] = {"source": scored, "view": None}
    page, card = changed.page_and_card()
    accuracies = "<td>87.50<small>75.0–95.0</small></td><td>81.25<small>70.0–90.0</small></td>"
    assert f"the source's name alone, without image or network</th>{accuracies}" in unescape(page)
    assert (
        "the projection (PA or AP) alone, without image or network</th>"
        '<td colspan="5" class="wrap">the same for all images</td>' in page
    )
    assert "by the source's name alone 81.25 (70.0–90.0)." in card


@pytest.mark.usefixtures("drawn_before")
def test_images_that_may_be_no_xray_are_named(changed: Changed) -> None:
    strange = {"image_id": "phantom/0042", "label": "covid19", "predicted": "healthy", "score": 41.26}
    changed.reports[METRICS]["out_of_distribution"]["furthest"] = [strange]
    page, _ = changed.page_and_card()
    assert "<code>phantom/0042</code></th><td>41.26</td><td>COVID‑19</td><td>Healthy</td>" in page
    changed.reports[METRICS]["out_of_distribution"]["furthest"] = []
    assert "The most distant images" not in changed.page_and_card()[0]


@pytest.mark.usefixtures("drawn_before")
def test_warnings_of_data_and_figures_are_told_at_the_top(changed: Changed) -> None:
    changed.reports[SPLIT_REPORT]["warnings"] = ["Some labels must be wrong."]
    changed.reports[METRICS]["warnings"] = ["No test image of COVID-19."]
    page, card = changed.page_and_card()
    assert all(text in page[: page.index("<main>")] for text in ("Some labels must be wrong.", "No test image of"))
    assert all(f"- {text}" in card for text in ("Some labels must be wrong.", "No test image of"))


@pytest.mark.usefixtures("drawn_before")
def test_what_was_noted_of_files_is_counted(changed: Changed) -> None:
    changed.reports[SPLIT_REPORT]["reading_notes"] = {"lateral view": 3}
    assert '<th scope="row">noted: lateral view</th><td>3</td>' in changed.page_and_card()[0]
    del changed.reports[SPLIT_REPORT]["reading_notes"]  # as in a split from before
    assert "noted:" not in changed.page_and_card()[0]


def without(label: str, value: Any) -> Any:
    """`value` where nothing is known of the class `label`, nor any mean or interval."""
    if isinstance(value, dict):
        return {
            key: unknown(inner) if key in (label, "macro") or "interval" in key else without(label, inner)
            for key, inner in value.items()
        }
    return value


def without_pictures(page: str) -> str:
    return re.sub(r"base64,[^\"]+", "", page)


def unknown(value: Any) -> Any:
    return {key: unknown(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def test_what_is_not_known_is_a_dash(changed: Changed) -> None:
    metrics = without("covid19", changed.reports[METRICS])
    metrics["operating_points"]["at_validation_threshold"]["threshold"] = None
    changed.reports[METRICS] = metrics
    page, card = changed.page_and_card()
    assert re.findall(r".{0,40}\b(?:None(?![.:])|nan\b).{0,40}", without_pictures(page) + card) == []
    assert "<td>–<small>–</small></td>" in page
    assert "COVID-19, area unknown" in page
    assert "no COVID-19 image in the validation split: no threshold" in page
    assert "| – (–) |" in card


def test_names_in_the_data_are_no_markup(changed: Changed) -> None:
    for key in ("by_source", "sources"):
        changed.reports[SPLIT_REPORT][key] = {HOSTILE: changed.reports[SPLIT_REPORT][key]["phantom"]}
    changed.reports[METRICS]["subgroups"]["source"] = {
        HOSTILE: changed.reports[METRICS]["subgroups"]["source"]["phantom"]
    }
    page, card = changed.page_and_card()
    assert page.count("<script") == 1, "the page's own"
    assert "<script" not in card
    assert page.count("&lt;script&gt;") >= 3, "in two tables and the text of a figure"
    assert "alert('x')&lt;/script&gt;\\|y" in card


def test_the_page_says_what_it_was_made_from(page: str, context: StageContext) -> None:
    assert "commit <code>" in page
    assert f"<code>{context.params.seed}</code>" in page
    assert "torch 2" in page
    assert "no server has received this run yet" in page
    assert "<code>cin.learning_rate</code>" in page


def test_made_again_the_card_is_the_same_and_old_figures_are_gone(card: str, changed: Changed) -> None:
    (FIGURES / "of_a_former_run.png").write_bytes(b"")
    assert changed.page_and_card()[1] == card
    assert {path.stem for path in FIGURES.iterdir()} == FIGURE_NAMES


@pytest.mark.parametrize(
    "item",
    [
        "Data sources", "Inclusion and exclusion", "Preprocessing", "De-identification", "Missing data",
        "Reference standard", "Partitions", "Model", "Training", "Metrics", "Uncertainty", "Robustness",
        "Explainability", "External testing", "Demographics", "Failure analysis", "Limitations",
        "5 Data", "10 Sample size", "13 Class imbalance", "14 Fairness", "16 Training versus evaluation",
        "17 Ethical approval", "23 Model performance", "27 Usability",
    ],
)  # fmt: skip
def test_the_model_card_answers(card: str, item: str) -> None:
    answers = re.findall(rf"^\| {re.escape(item)} \| (.+) \|$", card, re.MULTILINE)
    assert len(answers) == 1
    assert answers[0].strip()


def test_tables_of_the_model_card_are_whole(card: str) -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", card + "\n", re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(columns) == 1, table


def test_the_card_says_how_an_ensemble_with_fitted_heads_was_made(context: StageContext) -> None:
    cin = replace(
        context.params.cin,
        input="residual_tensor_and_image",
        fusion="networks",
        members=2,
        average_flips=True,
        fine_tune="head",
        head_start="logistic_regression",
        epochs=0,
    )
    report.run(replace(context, params=replace(context.params, cin=cin)))
    card = MODEL_CARD.read_text()
    assert "CIN: backbone frozen, head fitted by logistic regression." in card
    assert "Mean probabilities of 4 networks, half of them for the image, half for the residual tensor." in card
    assert "Each prediction is the mean over an input and its mirror image." in card
