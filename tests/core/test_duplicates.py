"""What becomes of images that show the same."""

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from coronet_core.common.manifest import as_table
from coronet_core.data.sources import phantom
from coronet_core.data.splitting.duplicates import (
    CONTRADICTION,
    contradictions,
    drop_duplicates,
    mark_duplicates,
    patient_groups,
)


def image(name: str, sha: str, **columns: Any) -> dict[str, Any]:
    return {"image_id": name, "patient_id": f"patient-{name}", "label": "healthy", "sha256": sha} | columns


def marked(*rows: dict[str, Any]) -> pd.DataFrame:
    manifest = as_table(list(rows))
    mark_duplicates(manifest, None)
    return manifest


def test_the_first_listed_is_the_original() -> None:
    manifest = marked(image("a", "1"), image("b", "2"), image("c", "1"), image("d", "1"))
    assert manifest["duplicate_of"].fillna("-").tolist() == ["-", "-", "a", "a"]
    assert manifest["duplicate_kind"].fillna("-").tolist() == ["-", "-", "bytes", "bytes"]


def test_an_image_of_the_published_test_part_is_the_original_wherever_it_is_listed() -> None:
    manifest = marked(image("a", "1", published_part="train"), image("b", "1", published_part="test"))
    assert manifest["duplicate_of"].fillna("-").tolist() == ["b", "-"]


def test_rejected_images_are_nobodys_duplicates() -> None:
    manifest = marked(image("a", "1", rejected_because="empty file"), image("b", "1"))
    assert manifest["duplicate_of"].isna().all()


def test_bytes_pixels_and_near_are_told_apart() -> None:
    draw = [phantom.draw(5, "healthy", f"p{i}", 0, 128)[0] for i in range(2)]
    stack = np.stack([draw[0], draw[0], draw[0], np.clip(draw[0] * 0.9, 0, 255).astype(np.uint8), draw[1]])
    same = {"perceptual_hash": "0" * 16}
    manifest = as_table(
        [
            image("a", "1", pixel_sha256="x", **same),
            image("b", "1", pixel_sha256="x", **same),
            image("c", "2", pixel_sha256="x", **same),
            image("d", "3", pixel_sha256="y", **same),
            image("e", "4", pixel_sha256="z", **same),  # the hash proposes it, the pixels decide
        ]
    )
    mark_duplicates(manifest, lambda positions: stack[positions])
    assert manifest["duplicate_kind"].fillna("-").tolist() == ["-", "bytes", "pixels", "near", "-"]


def test_patients_with_one_image_are_one_group_over_several_steps() -> None:
    manifest = marked(
        image("1", "s", patient_id="c"),
        image("2", "s", patient_id="b"),
        image("3", "t", patient_id="b"),
        image("4", "t", patient_id="a"),
        image("5", "u", patient_id="d"),
    )
    assert manifest["patient_group"].tolist() == ["a", "a", "a", "a", "d"]


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 12)), min_size=1, max_size=30))
def test_groups_keep_patients_and_clusters_whole(images: list[tuple[str, int]]) -> None:
    patients, clusters = pd.Series([patient for patient, _ in images]), np.array([cluster for _, cluster in images])
    groups = patient_groups(patients, clusters)
    for members in (patients, pd.Series(clusters)):
        assert len(pd.DataFrame({"members": members, "group": groups}).drop_duplicates()) == members.nunique()
    assert set(groups) <= set(patients)


def test_dropping_leaves_one_of_each_and_none_of_contradicting_labels() -> None:
    manifest = marked(
        image("a", "1"), image("b", "1"), image("c", "2"), image("d", "2", label="pneumonia"), image("e", "3")
    )
    assert contradictions(manifest).tolist() == [False, False, True, True, False]
    drop_duplicates(manifest)
    assert manifest["rejected_because"].fillna("-").tolist() == ["-", "duplicate", CONTRADICTION, CONTRADICTION, "-"]
