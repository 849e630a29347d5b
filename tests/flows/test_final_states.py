"""Every name in which a flow ends is known to the automations, which would take its run for a crashed one otherwise."""

import ast
from pathlib import Path

import pytest

from flows.monitoring import final_states
from tests.conftest import PROJECT

MODULES = sorted((PROJECT / "flows").rglob("*.py"))
NOT_NAMED_HERE = {"state.name", "None"}


def names_of_states(module: Path) -> set[str]:
    """What the calls of Completed and Failed in `module` take as `name`, as it is written."""
    calls = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
    made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in {"Completed", "Failed"}]
    values = [keyword.value for call in made for keyword in call.keywords if keyword.arg == "name"]
    one_each = [
        part for value in values for part in ((value.body, value.orelse) if isinstance(value, ast.IfExp) else (value,))
    ]
    return {ast.unparse(value) for value in one_each}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_state_is_named_by_a_known_name(module: Path) -> None:
    for name in names_of_states(module) - NOT_NAMED_HERE:
        assert getattr(final_states, name) in final_states.OURS


def test_flows_name_states_at_all() -> None:
    assert set.union(*map(names_of_states, MODULES)) - NOT_NAMED_HERE
