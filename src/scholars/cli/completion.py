"""Shell completion of recipes, kinds, sources and methods. Imports nothing heavy: the shell calls it at every Tab."""

from scholars.experiments.methods import METHOD_NAMES
from scholars.experiments.recipe import shipped_recipes
from scholars.settings import GENERATORS
from scholars.tasks.names import NAMES


def complete_recipe(incomplete: str) -> list[str]:
    """Return the shipped recipes that fit; where none does, the shell offers files."""
    return [name for name in shipped_recipes() if name.startswith(incomplete)]


def complete_generator(incomplete: str) -> list[str]:
    """Return the generator kinds of this package that fit."""
    return [name for name in GENERATORS if name.startswith(incomplete)]


def complete_source(incomplete: str) -> list[str]:
    """Return the named data sets that fit; where none does, the shell offers files."""
    return [name for name in NAMES if name.startswith(incomplete)]


def complete_methods(incomplete: str) -> list[str]:
    """Return the list with one more method, none twice: ``replay,na`` -> ``replay,naive``."""
    before, comma, last = incomplete.rpartition(",")
    listed = before.split(",")
    return [f"{before}{comma}{name}" for name in METHOD_NAMES if name.startswith(last) and name not in listed]
