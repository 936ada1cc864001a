"""The structure of the code: what may import what, how long a module may be, what `scholars` exports."""

from __future__ import annotations

import re
import runpy
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import scholars

ROOT = Path(__file__).parents[1]
ARCHITECTURE = runpy.run_path(str(ROOT / "docs" / "architecture.py"))
LAYERS: tuple[str, ...] = ARCHITECTURE["LAYERS"]
MODULES: dict[str, Path] = ARCHITECTURE["modules"]()
# `scholars` itself exports from everywhere, at first use; `python -m scholars` is the command line.
ENTRIES = ("", "__main__")
NO_NAME = "lern"


def imported(name: str) -> set[str]:
    return set(ARCHITECTURE["imports"](name, MODULES)) - {name}


def test_every_module_belongs_to_a_layer() -> None:
    assert {ARCHITECTURE["layer"](name) for name in MODULES if name not in ENTRIES} == set(LAYERS)


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ENTRIES])
def test_nothing_imports_upward(name: str) -> None:
    """Neither at the top of a module, nor inside a function, nor for types only."""
    rank = {layer: place for place, layer in enumerate(LAYERS)}
    own = ARCHITECTURE["layer"](name)
    for other in imported(name):
        assert rank[ARCHITECTURE["layer"](other)] <= rank[own], f"{name} imports {other}, which is above it"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imported(name) for name in MODULES if name not in ENTRIES}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_the_test_sees_what_it_forbids(tmp_path: Path) -> None:
    path = tmp_path / "low.py"
    path.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from scholars.cli import main\n")
    assert list(ARCHITECTURE["imports"]("low", {"low": path, "cli.main": path})) == ["cli.main"]
    path.write_text("def f():\n    import scholars.cli.main\n    from scholars import cli\n")
    assert list(ARCHITECTURE["imports"]("low", {"low": path, "cli": path})) == ["cli.main", "cli"]


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_short(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 300


def test_the_algorithm_is_on_one_page() -> None:
    assert len(MODULES["learning.algorithm"].read_text(encoding="utf-8").splitlines()) < 200


def test_the_picture_is_drawn_from_the_code_as_it_is() -> None:
    assert ARCHITECTURE["drawn"]() == ARCHITECTURE["PICTURE"].read_text(encoding="utf-8"), (
        "run: python docs/architecture.py"
    )


def test_what_is_exported_is_there_and_known_to_type_checkers() -> None:
    for name in scholars.__all__:
        assert getattr(scholars, name) is not None
    assert {"learn", "Scholar", "open_task"} <= set(scholars.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lern'"):
        getattr(scholars, NO_NAME)


def test_examples_and_pages_name_no_inner_module() -> None:
    """Whoever extends Scholars depends on what it exports, and on nothing else."""
    pages = [*(ROOT / "examples").glob("*.py"), ROOT / "README.md", ROOT / "docs" / "own-networks.md"]
    for page in pages:
        inner = re.findall(r"^\s*(?:from|import) scholars\.[\w.]+", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert not inner, f"{page.name}: {inner}"
