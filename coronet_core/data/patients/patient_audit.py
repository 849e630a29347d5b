"""What is doubtful about the ids of patients: none at all, no person behind one, two that may be of one person."""

from typing import Any, Final

import pandas as pd

from coronet_core.support.plurals import counted

UNLIKELY_SHARE: Final = 0.1
UNLIKELY_IMAGES: Final = 10
UNLIKELY_TIMES: Final = 5
"""A patient with more than this share of the images, at least so many of them, and more than so many times the images
of the median patient is probably no person. Small sets with several images of each patient stay below the last."""
MAX_NAMED: Final = 5
GIVE_IDS: Final = (
    "Give ids in the column patient_id of a labels CSV, by patient_id_pattern or, for RSNA's images, by nih_map_csv."
)


def doubtful_patients(accepted: pd.DataFrame) -> dict[str, Any]:
    """Return, for the accepted images of a manifest, who names their patients and which ids are doubtful.

    `from`: images by who names their patient; `unlikely`: patients of an unlikely share of the images;
    `leading_zeros`: lists of ids that differ in leading zeros or capitals alone.
    """
    images = accepted["patient_id"].value_counts()
    is_unlikely = (
        (images >= UNLIKELY_IMAGES)
        & (images > UNLIKELY_SHARE * len(accepted))
        & (images > UNLIKELY_TIMES * images.median())
    )
    ids = accepted[["patient_id", "patient_id_zeroless"]].dropna().drop_duplicates()
    alike = [sorted(same) for _, same in ids.groupby("patient_id_zeroless")["patient_id"]]
    return {
        "from": {str(origin): int(n) for origin, n in accepted["patient_id_from"].value_counts().items()},
        "unlikely": [{"patient_id": str(one), "images": int(n)} for one, n in images[is_unlikely].items()],
        "leading_zeros": sorted(same for same in alike if len(same) > 1),
    }


def patient_warnings(found: dict[str, Any], n_images: int) -> list[str]:
    """Return sentences on what `doubtful_patients` has found among `n_images`."""
    sentences = []
    reasons = {
        "placeholder": "A placeholder such as 0 or ANONYMOUS instead of a patient id",
        "none": "No patient id",
    }
    for origin, reason in reasons.items():
        if n := found["from"].get(origin, 0):
            sentences.append(
                f"{reason} in {n} of {counted(n_images, 'image')}: each counts as a separate patient, so images of one "
                f"person may be in two splits. {GIVE_IDS}"
            )
    sentences += [
        f"Patient {one['patient_id']} has {one['images']} of {counted(n_images, 'image')} "
        f"({100 * one['images'] / n_images:.0f}%): probably not a person but a placeholder for missing ids. All of "
        f"these images are in one split. {GIVE_IDS}"
        for one in found["unlikely"]
    ]
    if alike := found["leading_zeros"]:
        named = "; ".join(" and ".join(ids) for ids in alike[:MAX_NAMED])
        more = f"; and {len(alike) - MAX_NAMED} more" if len(alike) > MAX_NAMED else ""
        sentences.append(
            f"Ids that differ only in leading zeros or capital letters count as different patients: {named}{more}. If "
            "they belong to one person, write them the same way."
        )
    return sentences


def doubtful_ids(found: dict[str, Any]) -> list[str]:
    """Return the ids that `patient_warnings` names."""
    alike = [one for ids in found["leading_zeros"][:MAX_NAMED] for one in ids]
    return [*(one["patient_id"] for one in found["unlikely"]), *alike]
