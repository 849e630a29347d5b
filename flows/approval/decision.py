"""A decision of the gate, as Prefect's page and the terminal show it."""

from typing import Final

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from tasks.promotion.promote_version import Judgement
from tasks.promotion.restore_champion import Rollback
from tasks.report.pages import environment
from tasks.runtime.external_text import plain

DECISION_KEY: Final = "promotion"
FIGURES_KEY: Final = "promotion-figures"
ROLLBACK_KEY: Final = "rollback"


def as_markdown(judgement: Judgement) -> str:
    """Return the decision with every rule and its reason."""
    content = {
        "version": judgement.version.number,
        "champion": None if judgement.champion is None else judgement.champion.number,
        "decision": judgement.decision,
        "outcome": "meets every rule" if judgement.decision.passed else "refused",
    }
    return environment().get_template("promotion.md.j2").render(content)


def publish_decision(judgement: Judgement) -> None:
    """Create the artifacts of a decision; to be called in a flow."""
    description = f"Whether version {judgement.version.number} may become the champion"
    create_markdown_artifact(as_markdown(judgement), key=DECISION_KEY, description=description)
    figures = judgement.decision.figures.items()
    rows = [{"figure": name, "value": "–" if value is None else f"{value:.4f}"} for name, value in figures]
    create_table_artifact(rows, key=FIGURES_KEY, description=f"What was judged of version {judgement.version.number}")


def publish_rollback(found: Rollback, reason: str) -> None:
    """Create the artifact of a rollback; to be called in a flow."""
    text = (
        f"### Version {found.restored.number} is the champion again\n\nVersion {found.removed.number} was taken back: "
    )
    create_markdown_artifact(text + plain(reason), key=ROLLBACK_KEY, description="Why a champion was taken back")
