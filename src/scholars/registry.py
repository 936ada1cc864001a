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
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from scholars.errors import InputError, nearest
from scholars.generator_settings import GeneratorSettings
from scholars.settings import SOLVERS

Part = Literal["solver", "generator"]
Build = Callable[..., Any]

_OWN: dict[Part, dict[str, Build]] = {"solver": {}, "generator": {}}
_PLUGINS: list[str] = []


def register_solver(kind: str, build: Build) -> None:
    """Let ``solver.kind=KIND`` build solvers by ``build(settings, image, classes)``.

    Raises InputError for the name of a kind that is part of this package.
    """
    _register("solver", kind, build, SOLVERS)


def register_generator(kind: str, build: Build) -> None:
    """Let ``generator.kind=KIND`` build generators by ``build(settings, channels, size, conditions)``.

    Raises InputError for the name of a kind that is part of this package.
    """
    _register("generator", kind, build, GeneratorSettings().kinds())


def _register(part: Part, kind: str, build: Build, shipped: Iterable[str]) -> None:
    if kind in shipped:
        raise InputError(f"{part}.kind={kind!r} is part of this package: give yours another name")
    _OWN[part][kind] = build


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


def load_missing(words: Iterable[str]) -> None:
    """`load_plugin` for each of another process's `plugins` that this one has not loaded."""
    for word in words:
        if word not in _PLUGINS:
            load_plugin(word)


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
    # A name by which it hides no other module, and under which its classes are found when they are pickled.
    name = f"scholars_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"--plugin {word}: no such file")
    sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[name])
    except Exception as error:  # whatever the code of a stranger to this package raises
        del sys.modules[name]
        raise InputError(f"--plugin {word}: {type(error).__name__}: {error}") from error
