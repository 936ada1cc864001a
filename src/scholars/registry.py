"""Networks of one's own: kinds of solver and generator beside those of the package.

A solver is built from (`SolverSettings`, `ImageSettings`, number of classes), a generator from (`OwnSettings`,
channels, size, number of conditions). `scholars.solvers.Solver` and `scholars.generators.Generator` say what they must
keep. A package that is installed offers them as entry points of the groups ``scholars.solvers`` and
``scholars.generators``; a script calls `register_solver` or `register_generator`, and the command line runs it first
with ``--plugin``.

What is on a scholar's disk never names code to import: a stranger's scholar can only ask for what is registered here.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from scholars.errors import InputError, nearest

Part = Literal["solver", "generator"]
Build = Callable[..., Any]

_OWN: dict[Part, dict[str, Build]] = {"solver": {}, "generator": {}}
_PLUGINS: list[str] = []


def register_solver(kind: str, build: Build) -> None:
    """Let ``solver.kind=KIND`` build solvers by ``build(settings, image, classes)``."""
    _OWN["solver"][kind] = build


def register_generator(kind: str, build: Build) -> None:
    """Let ``generator.kind=KIND`` build generators by ``build(settings, channels, size, conditions)``."""
    _OWN["generator"][kind] = build


def builder(part: Part, kind: str, shipped: Iterable[str]) -> Build:
    """How a registered kind is built. Raises InputError for one that nobody registered."""
    if kind not in _OWN[part]:
        for entry in entry_points(group=f"scholars.{part}s", name=kind):
            _OWN[part][kind] = entry.load()
    if kind not in _OWN[part]:
        raise InputError(
            f"{part}.kind={kind!r} is not known. {nearest(kind, [*shipped, *_OWN[part]])} If it is your own, register "
            "it first: scholars --plugin FILE.py, or scholars.register_" + part
        )
    return _OWN[part][kind]


def plugins() -> tuple[str, ...]:
    """What `load_plugin` was given, files by their whole path: for processes elsewhere that are to know the same."""
    return tuple(_PLUGINS)


def load_plugin(word: str) -> None:
    """Run a Python file, or import a module by name, that registers kinds. Raises InputError if there is none."""
    _load(word)
    _PLUGINS.append(str(Path(word).resolve()) if word.endswith(".py") else word)


def _load(word: str) -> None:
    path = Path(word)
    if path.suffix != ".py":
        try:
            importlib.import_module(word)
        except Exception as error:  # no such module, no such name, or whatever a stranger's raises
            raise InputError(
                f"--plugin {word!r}: {type(error).__name__}: {error}; give a .py file or the name of a module"
            ) from error
        return
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"--plugin {word}: no such file")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except Exception as error:  # whatever the code of a stranger to this package raises
        raise InputError(f"--plugin {word}: {type(error).__name__}: {error}") from error
