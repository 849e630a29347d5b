"""What the residual adds to the raw image: the candidates of a comparison that answer it, and the answer."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from coronet_core.common.literals import CinInput
from tasks.runtime.params.cin_params import CinParams
from tasks.runtime.params.schema import Params
from tasks.studies.candidate_figures import Replicates
from tasks.studies.conclusions import Verdict, capitalised, judged, verdict

IMAGE: Final[CinInput] = "image"
TOGETHER: Final[CinInput] = "residual_tensor_and_image"

ADDED: Final[dict[Verdict, str]] = {
    "better": "The residual adds to the raw image.",
    "worse": "The residual, added to the raw image, makes it worse.",
    "mixed": "The residual, added to the raw image, improves one figure and worsens another.",
    "open": "The residual adds nothing to the raw image beyond chance.",
    "unknown": "Too few patients to say whether the residual adds to the raw image.",
}
ALONE: Final[dict[Verdict, str]] = {
    "better": "The residual alone is better than the raw image.",
    "worse": "The residual alone is worse than the raw image.",
    "mixed": "The residual alone is better than the raw image by one figure and worse by another.",
    "open": "The residual alone is not better than the raw image.",
    "unknown": "Too few patients to say whether the residual alone is better than the raw image.",
}


class ResidualPair(NamedTuple):
    """Names of two candidates with the same recipe and as many networks: more of them would win by themselves.

    Where each member leaves out a fold, they have as many folds too, and so are trained on as many patients.
    """

    candidate: str
    """Reads residuals."""
    image: str
    """Reads the image alone."""


def residual_pairs(params: Mapping[str, Params]) -> list[ResidualPair]:
    """Return for each candidate that reads residuals the first with the same recipe that reads the image alone.

    Those that read both, residual and image, come first. What the autoencoders are like makes no difference to a
    classifier that reads the image alone.
    """
    recipes = {name: _recipe(own.cin) for name, own in params.items()}
    images = [name for name, own in params.items() if own.cin.input == IMAGE]
    residuals = sorted(
        (name for name in params if name not in images), key=lambda name: params[name].cin.input != TOGETHER
    )
    twins = {name: next((image for image in images if recipes[image] == recipes[name]), None) for name in residuals}
    return [ResidualPair(name, image) for name, image in twins.items() if image is not None]


def _recipe(params: CinParams) -> dict[str, Any]:
    """Return all but what is read and how it is fused; with the number of networks, of which fusion may need two.

    With the number of members too if it is that of folds.
    """
    n_networks = params.members * (2 if params.fusion == "networks" else 1)
    left_out = ("input", "fusion", "members") if params.member_images == "all" else ("input", "fusion")
    same = {key: value for key, value in asdict(params).items() if key not in left_out}
    return same | {"networks": n_networks}


def residual_answers(
    params: Mapping[str, Params], titles: Mapping[str, str], replicates: Replicates
) -> list[dict[str, Any]]:
    """Return what each pair among the candidates says: differences, `answer` in a plain sentence, and `details`."""
    found = []
    for pair in residual_pairs(params):
        differences = replicates.differences(pair.candidate, pair.image)
        sentences = ADDED if params[pair.candidate].cin.input == TOGETHER else ALONE
        candidate, image = capitalised(titles[pair.candidate]), titles[pair.image]
        details = f"{candidate}, compared with {image}: {judged('its', differences)}"
        answer = {"answer": sentences[verdict(differences)], "details": details}
        found.append(pair._asdict() | {"differences": differences} | answer)
    return found
