"""Errors, uncertain images and the table of all test images in the report: bounded, escaped, as they were predicted."""

import re
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from coronet_core.common.classes import CLASSES
from coronet_core.support.tables import write_frame
from tasks.explain import gallery_choice
from tasks.report import cases
from tasks.runtime.params.explain import MethodName
from tasks.runtime.paths import (
    METRICS,
    PREDICTIONS,
)
from tests.tasks.report.conftest import HOSTILE, Changed


def test_errors_and_uncertain_images_are_shown_with_their_residuals_and_map(
    page: str, predictions: pd.DataFrame
) -> None:
    shown = page[page.index('<section id="gallery">') : page.index('<section id="cases">')]
    n = len(predictions)
    assert shown.count('alt="X-ray of ') == n, "few enough to show all of them"
    assert shown.count('alt="Residual |X − F_H| of ') == n
    assert shown.count('alt="Attribution map of ') == n
    errors = (predictions["label"] != predictions["predicted"]).sum()
    assert f"All {errors} errors, the most confident first." in shown
    alts = re.findall(r'alt="([^"]+)"', page)
    assert len(set(alts)) == len(alts)


@pytest.mark.usefixtures("drawn_before")
def test_the_gallery_is_bounded_and_says_so(
    changed: Changed, explain_again: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gallery_choice, "MAX_SHOWN", 2)
    explain_again()
    page, _ = changed.page_and_card()
    metrics = changed.reports[METRICS]
    errors = metrics["images"] - sum(metrics["confusion_matrix"][i][i] for i in range(3))
    assert f"The 2 most confident errors of {errors}." in page
    assert f"Of the {metrics['images'] - 2} other test images, right or wrong, the 2 whose" in page
    assert page.count('alt="X-ray of ') == page.count('alt="Attribution map of ') == 4


@pytest.mark.usefixtures("drawn_before")
@pytest.mark.parametrize(
    ("method", "named"),
    [
        ("perturbation", "(Meaningful perturbation)"),
        ("occlusion", "(Occlusion: squares of 16 pixels are hidden one by one)"),
        ("grad_cam", "(Grad-CAM: one pass through the network, as coarse as its last feature map)"),
    ],
)
def test_the_gallery_names_the_method_of_its_maps(changed: Changed, method: MethodName, named: str) -> None:
    params = changed.context.params
    explain = replace(params.explain, gallery_method=method)
    changed.context = replace(changed.context, params=replace(params, explain=explain))
    page, _ = changed.page_and_card()
    assert f"the attribution map of the predicted class {named}." in page


@pytest.mark.usefixtures("drawn_before")
def test_without_errors_the_gallery_says_so(
    changed: Changed, explain_again: Callable[[], None], predictions: pd.DataFrame
) -> None:
    for label in CLASSES:
        predictions.loc[predictions["label"] == label, "predicted"] = label
    write_frame(predictions, PREDICTIONS)
    explain_again()
    page, _ = changed.page_and_card()
    assert "No test image was misclassified." in page
    assert page.count('alt="X-ray of ') == len(predictions)


def rows_of_cases(page: str) -> list[str]:
    table = page[page.index('<table id="case-table"') :]
    return re.findall(r"<tr data-label=.+</tr>", table[: table.index("</table>")])


def test_every_test_image_has_a_row_and_its_columns_a_head(page: str, predictions: pd.DataFrame) -> None:
    rows = rows_of_cases(page)
    assert len(rows) == len(predictions)
    wrong = [row for row in rows if " data-error" in row]
    assert wrong == rows[: len(wrong)]
    assert all('<td class="bad">error</td>' in row for row in wrong)
    head = page[page.index('<table id="case-table"') :]
    assert head[: head.index("</thead>")].count('<th scope="col">') == rows[0].count("<td") + 1
    assert '<form id="case-filter" hidden>' in page, "of no use without JavaScript"


@pytest.mark.usefixtures("drawn_before")
def test_a_long_table_is_cut_and_says_so(changed: Changed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "MAX_LISTED", 3)
    page, _ = changed.page_and_card()
    images = changed.reports[METRICS]["images"]
    assert f"<strong>{images - 3} of {images} images are left out</strong>" in page
    assert len(rows_of_cases(page)) == 3


@pytest.mark.usefixtures("drawn_before")
def test_ids_of_images_are_no_markup(changed: Changed, predictions: pd.DataFrame) -> None:
    predictions["image_id"] = HOSTILE
    predictions["view"] = HOSTILE
    write_frame(predictions, PREDICTIONS)
    page, _ = changed.page_and_card()
    assert page.count("<script") == 1
    assert page.count("&lt;script&gt;") >= 4 * len(predictions)
