"""Register kinds of solver and generator: those of this package, and your own.

A solver is built from (`SolverSettings`, `ImageSettings`, number of classes), a generator from (its settings, channels,
size, number of conditions). `scholars.Solver` and `scholars.Generator` say what they must have. An installed package
offers kinds as entry points of the groups ``scholars.solvers`` and ``scholars.generators``; a script calls
`register_solver` or `register_generator`, and the command line runs it first with ``--plugin``.

A scholar on disk never names code to import: it can only ask for a kind that is registered here.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

from scholars.errors import InputError, did_you_mean

Part = Literal["solver", "generator"]
Build = Callable[..., Any]

# By name where they are imported at their first use, as entry points are: `scholars --help` must not wait for torch.
_KINDS: dict[Part, dict[str, Build | str]] = {
    "solver": {
        "cnn": "scholars.solvers.cnn:CNN",
        "mlp": "scholars.solvers.mlp:MLP",
        # Of features: built with their number.
        "head": "scholars.solvers.head:Head",
        "lda": "scholars.solvers.head:Head",
        "ncm": "scholars.solvers.head:Head",
    },
    "generator": {
        "mixture": "scholars.generators.mixture:Mixture",
        "flow": "scholars.generators.flow:Flow",
        "r3gan": "scholars.generators.r3gan:R3GAN",
        "wgan-gp": "scholars.generators.wgan_gp:WGANGP",
        "wgan": "scholars.generators.wgan:WGAN",
        "gan": "scholars.generators.gan:GAN",
        "vae": "scholars.generators.vae:VAE",
    },
}
_SHIPPED = {part: frozenset(kinds) for part, kinds in _KINDS.items()}
_PLUGINS: list[str] = []


def register_solver(kind: str, build: Build) -> None:
    """Make ``solver.kind=KIND`` build solvers by ``build(settings, image, classes)``.

    Raises InputError for the name of a kind that is part of this package.
    """
    _register("solver", kind, build)


def register_generator(kind: str, build: Build) -> None:
    """Make ``generator.kind=KIND`` build generators by ``build(settings, channels, size, conditions)``.

    Raises InputError for the name of a kind that is part of this package.
    """
    _register("generator", kind, build)


def _register(part: Part, kind: str, build: Build) -> None:
    if kind in _SHIPPED[part]:
        raise InputError(f"{part}.kind={kind!r} is part of this package: give yours another name")
    _KINDS[part][kind] = build


def builder(part: Part, kind: str) -> Build:
    """Return what builds a kind. Raises InputError for a kind that is not registered."""
    kinds = _KINDS[part]
    if kind not in kinds:
        for entry in entry_points(group=f"scholars.{part}s", name=kind):
            kinds[kind] = entry.load()
    found = kinds.get(kind)
    if found is None:
        raise InputError(
            f"{part}.kind={kind!r} is not known. {did_you_mean(kind, kinds)} If it is your own, register it first: "
            f"scholars --plugin FILE.py, or scholars.register_{part}"
        )
    return resolve_name(found) if isinstance(found, str) else found


def check_kind(part: Part, kind: str) -> None:
    """Raise InputError for a kind that is not registered; imports nothing for one of this package."""
    if kind not in _KINDS[part]:
        builder(part, kind)


def plugins() -> tuple[str, ...]:
    """Return what `load_plugin` was given, files by their full path, so that other processes can load the same."""
    return tuple(_PLUGINS)


def load_plugin(name: str) -> None:
    """Run a Python file, or import a module by name, that registers kinds. Raises InputError if there is none."""
    _load(name)
    _PLUGINS.append(str(Path(name).resolve()) if name.endswith(".py") else name)


def load_missing(names: Iterable[str]) -> None:
    """Load those of another process's `plugins` that this process has not loaded."""
    for name in names:
        if name not in _PLUGINS:
            load_plugin(name)


def _load(name: str) -> None:
    path = Path(name)
    if path.suffix != ".py":
        try:
            importlib.import_module(name)
        except Exception as error:  # no such module, no such name, or whatever the plugin raises
            raise InputError(
                f"--plugin {name!r}: {type(error).__name__}: {error}; give a .py file or the name of a module"
            ) from error
        return
    # A name that hides no other module, and under which pickle finds its classes.
    module = f"scholars_plugin_{path.stem}"
    spec = importlib.util.spec_from_file_location(module, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"--plugin {name}: no such file")
    sys.modules[module] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(sys.modules[module])
    except Exception as error:  # whatever the plugin raises
        del sys.modules[module]
        raise InputError(f"--plugin {name}: {type(error).__name__}: {error}") from error
