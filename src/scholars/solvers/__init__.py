"""Solvers: the classifiers of a scholar."""

from typing import cast

from torch import nn

from scholars.errors import InputError
from scholars.settings import ImageSettings, SolverSettings
from scholars.settings.registry import builder
from scholars.solvers.base import Solver

__all__ = ["Solver", "build_solver"]


def build_solver(settings: SolverSettings, image: ImageSettings, classes: int) -> Solver:
    """Build a solver of ``settings.kind`` with ``classes`` outputs.

    Raises InputError for a kind that is not registered, or that builds something else.
    """
    built = builder("solver", settings.kind)(settings, image, classes)
    missing = [name for name in ("features", "classify") if not callable(getattr(built, name, None))]
    if not isinstance(built, nn.Module) or missing:
        raise InputError(
            f"solver.kind={settings.kind!r} built a {type(built).__name__}: a solver is a torch.nn.Module with the "
            "methods forward(images), features(images) and classify(features)"
        )
    return cast(Solver, built)
