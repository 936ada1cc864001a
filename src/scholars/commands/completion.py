"""What the shell completes beyond commands, options and files. Imports nothing heavy: it is asked at every Tab."""

from __future__ import annotations

from scholars.config import METHODS, shipped_recipes
from scholars.generator_settings import GeneratorSettings
from scholars.source_names import NAMES


def recipe_names(incomplete: str) -> list[str]:
    """The shipped recipes; where none fits, the shell offers files."""
    return [name for name in shipped_recipes() if name.startswith(incomplete)]


def generator_kinds(incomplete: str) -> list[str]:
    """The kinds that are part of this package."""
    return [name for name in GeneratorSettings().kinds() if name.startswith(incomplete)]


def source_names(incomplete: str) -> list[str]:
    """The data sets that are known by name; where none fits, the shell offers files."""
    return [name for name in NAMES if name.startswith(incomplete)]


def method_lists(incomplete: str) -> list[str]:
    """``replay,na`` -> ``replay,naive``: a list with one more method, none twice."""
    before, comma, last = incomplete.rpartition(",")
    listed = before.split(",")
    return [f"{before}{comma}{name}" for name in METHODS if name.startswith(last) and name not in listed]
