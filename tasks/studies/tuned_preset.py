"""The winner of a hyperparameter search as a preset: what it changes, and where it comes from."""

import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import optuna
from ruamel.yaml import YAML

from coronet_core.support.errors import ParamsError
from coronet_core.support.plurals import counted
from tasks.runtime.files import write_text
from tasks.runtime.params.checks import PARAMS_FILE
from tasks.runtime.params.presets import EXTENDS, PRESETS, ParamsFile, changes_over, merged, nested, read_files
from tasks.studies.search_objective import find_objective
from tasks.studies.search_space import SearchSpace
from tasks.studies.search_study import BEGUN_WITH, COMMIT, DIRTY, best_trials, n_done

NAME: Final = "[A-Za-z0-9][A-Za-z0-9_-]*"
MARK: Final = "# Written by `coronet tune`"


def preset_path(name: str) -> Path:
    """Return where the preset of the study `name` lies.

    Raises ParamsError if a file is there that no search has written, or for a name that is none of a file.
    """
    if re.fullmatch(NAME, name) is None:
        raise ParamsError(f"name = {name}: allowed: letters, digits, - and _. Give another with --name.")
    path = PRESETS / f"{name}.yaml"
    if path.is_file() and not path.read_text(encoding="utf-8").startswith(MARK):
        raise ParamsError(f"{path}: exists, but not from `coronet tune`. Give another name with --name.")
    return path


def write_winner(path: Path, study: optuna.Study, space: SearchSpace, space_file: Path) -> None:
    """Write the params of the best trial of a search from the live params over `space` as a preset.

    Its head names study, trial, figure, commit and date.
    """
    winner = study.best_trial
    figure = find_objective(study.user_attrs[BEGUN_WITH]["objective"])
    live = merged(read_files(PARAMS_FILE))
    values = merged([ParamsFile(path, one) for one in (nested(space.values(winner.params)), live)])
    commit = winner.user_attrs[COMMIT] + (", edited" if winner.user_attrs.get(DIRTY) == "true" else "")
    ended = "" if winner.datetime_complete is None else f"{winner.datetime_complete.astimezone():%Y-%m-%d %H:%M %z}"
    baseline = [
        f"{PARAMS_FILE} as it was: {figure.name} {trial.value:.5f}"
        for trial in best_trials(study)
        if trial.params == space.drawn(live)
    ]
    provenance = [
        f"study {study.study_name}, space {space_file}, {counted(n_done(study), 'trial')}",
        f"trial {winner.number}: {figure.name} {winner.value:.5f}, to {figure.direction}",
        *baseline[:1],
        f"commit {commit}, {ended}",
        "The figure chose the trial, so it is too optimistic. Figures on the test split come from",
        f"`coronet run --params {path}`.",
    ]
    write_preset(path, values, provenance)


def write_preset(path: Path, values: Mapping[str, Any], provenance: Sequence[str]) -> None:
    """Write whole params `values` as a preset that extends the preset nearest to them.

    The lines of `provenance` are comments at its head.
    """
    base, changes = _nearest(path, values)
    yaml, body = YAML(), io.StringIO()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump({EXTENDS: base} | changes, body)
    head = [MARK + ".", *provenance]
    write_text(path, "\n".join([head[0], *(f"# {line}".rstrip() for line in head[1:]), "", body.getvalue()]))


def _nearest(path: Path, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the preset that is nearest to `values`, and what `path` has to state over it.

    Presets of searches are none: a later search may write them anew.
    """
    found = []
    for preset in sorted(PRESETS.glob("*.yaml")):
        if preset.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            continue
        with suppress(ParamsError):  # a faulty file in the folder is no base
            files = read_files(preset)
            if path.resolve() not in [file.path.resolve() for file in files]:
                changes = changes_over(merged(files), values)
                found.append((_n_leaves(changes), len(files), preset.stem, changes))
    if not found:
        raise ParamsError(f"{PRESETS}: has no preset to extend. Restore params/base.yaml with git.")
    *_, base, changes = min(found, key=lambda one: one[:3])
    return base, changes


def _n_leaves(changes: Any) -> int:
    return sum(map(_n_leaves, changes.values())) if isinstance(changes, dict) else 1
