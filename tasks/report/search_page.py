"""HTML page of a hyperparameter search; apart from those of other studies, as Optuna's figures load scikit-learn."""

from collections import Counter
from pathlib import Path
from typing import Final

import optuna

from tasks.report.pages import write_page
from tasks.report.plots.search import search_epochs, search_history, search_importances, search_slices

SEARCH_SECTIONS: Final = {"search": "The search", "trials": "Trials"}


def render_search(study: optuna.Study, figure: str, target: Path) -> None:
    """Write the page of a hyperparameter search by `figure`, of which at least one trial is complete."""
    direction = study.direction.name.lower()
    trials = study.get_trials()
    worst = float("-inf") if direction == "maximize" else float("inf")
    ranked = sorted(trials, key=lambda one: worst if one.value is None else one.value, reverse=direction == "maximize")
    counts = Counter(one.state.name.lower() for one in trials)
    content = {
        "study": study.study_name,
        "sections": SEARCH_SECTIONS,
        "figure": figure,
        "direction": direction,
        "counts": ", ".join(f"{count} {state}" for state, count in counts.items()),
        "best": study.best_trial,
        "params": list(study.best_params),
        "trials": [
            {
                "number": one.number,
                "state": one.state.name.lower(),
                "value": one.value,
                "params": one.params,
                "error": one.user_attrs.get("error"),
            }
            for one in ranked
        ],
        "history": search_history(study, figure),
        "slices": search_slices(study, figure),
        "importances": search_importances(study),
        "epochs": search_epochs(study, figure),
    }
    write_page(target, "search.html.j2", content)
