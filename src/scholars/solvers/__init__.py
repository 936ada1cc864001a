"""Solvers: the classifiers of a scholar."""

from typing import cast

from torch import nn

from scholars.errors import InputError
from scholars.settings import AnySolverSettings, ImageSettings, SolverSettings
from scholars.settings.registry import builder
from scholars.solvers.base import Solver
from scholars.solvers.head import Head

__all__ = ["Head", "Solver", "build_solver", "default_width"]


def default_width(kind: str, image: ImageSettings) -> int:
    """Return what ``solver.width`` is where it is not set: by the image shape, which all tasks of a scholar share."""
    if kind == "mlp":
        return 512
    return 16 if image.channels == 1 else 24


def build_solver(
    settings: AnySolverSettings, image: ImageSettings, classes: int, features: int | None = None
) -> Solver:
    """Build a solver of ``settings.kind`` with ``classes`` outputs.

    features: D, for a solver of features; None for one of images

    Raises InputError for a kind that is not registered, or that builds something else.
    """
    if not isinstance(settings, SolverSettings):
        return Head(settings, features or 0, classes)
    if settings.width is None:
        settings = settings.model_copy(update={"width": default_width(settings.kind, image)})
    built = builder("solver", settings.kind)(settings, image, classes)
    missing = [name for name in ("features", "classify") if not callable(getattr(built, name, None))]
    if not isinstance(built, nn.Module) or missing:
        raise InputError(
            f"solver.kind={settings.kind!r} built a {type(built).__name__}: a solver is a torch.nn.Module with the "
            "methods forward(images), features(images) and classify(features)"
        )
    return cast(Solver, built)
