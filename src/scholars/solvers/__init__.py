"""Solvers: the classifiers of a scholar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from torch import nn

from scholars.errors import InputError
from scholars.registry import builder
from scholars.settings import ImageSettings, SolverSettings
from scholars.solvers.base import Solver
from scholars.solvers.cnn import CNN
from scholars.solvers.mlp import MLP

__all__ = ["CNN", "MLP", "Solver", "build_solver"]

# Settings, image shape, number of classes -> a new solver. Their names are those of `scholars.settings.SOLVERS`.
KINDS: Mapping[str, Callable[[SolverSettings, ImageSettings, int], Solver]] = {"cnn": CNN, "mlp": MLP}


def build_solver(settings: SolverSettings, image: ImageSettings, classes: int) -> Solver:
    """A new solver of ``settings.kind`` with ``classes`` outputs. Raises InputError for a kind that is not known."""
    build = KINDS.get(settings.kind) or builder("solver", settings.kind, KINDS)
    built = build(settings, image, classes)
    missing = [name for name in ("features", "classify") if not callable(getattr(built, name, None))]
    if not isinstance(built, nn.Module) or missing:
        raise InputError(
            f"solver.kind={settings.kind!r} built a {type(built).__name__}: a solver is a torch.nn.Module with the "
            "methods forward(images), features(images) and classify(features)"
        )
    return cast(Solver, built)
