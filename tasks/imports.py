"""Which modules of the project a module needs, found in the code without running it."""

from pathlib import Path

import grimp

from tasks.code_digest import HOME, PACKAGES


def modules_needed_by(module: str) -> set[str]:
    """Return `module`, all modules of the project that it imports, directly or not, and the packages they are in."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found, waiting = set[str](), {module}
    while waiting:
        found.add(current := waiting.pop())
        packages = {current.rsplit(".", level)[0] for level in range(1, current.count(".") + 1)}
        waiting |= (graph.find_modules_directly_imported_by(current) | packages) - found
    return found


def files_needed_by(module: str) -> list[Path]:
    """Return the files of these modules."""
    return [_file_of(HOME.joinpath(*name.split("."))) for name in modules_needed_by(module)]


def _file_of(module: Path) -> Path:
    return module / "__init__.py" if module.is_dir() else module.with_suffix(".py")
