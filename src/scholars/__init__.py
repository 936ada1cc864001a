"""Continual learning by deep generative replay.

>>> from scholars import learn, open_task
>>> one = learn(open_task("mnist"))  # doctest: +SKIP
>>> two = learn(open_task("svhn"), previous=one)  # mnist's data is not read  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scholars.auditing import audit
    from scholars.config import Recipe, changed, read_recipe
    from scholars.errors import InputError, Interrupted, ScholarsError, ScholarsWarning
    from scholars.evaluate import accuracy
    from scholars.experiment import run
    from scholars.fitting import Session
    from scholars.generators import Generator
    from scholars.learning import learn
    from scholars.lifetime import teach
    from scholars.registry import register_generator, register_solver
    from scholars.scholar import Scholar
    from scholars.settings import Settings
    from scholars.solvers import Solver
    from scholars.tasks import Images, Task, open_task

__all__ = [
    "Generator",
    "Images",
    "InputError",
    "Interrupted",
    "Recipe",
    "Scholar",
    "ScholarsError",
    "ScholarsWarning",
    "Session",
    "Settings",
    "Solver",
    "Task",
    "accuracy",
    "audit",
    "changed",
    "learn",
    "open_task",
    "read_recipe",
    "register_generator",
    "register_solver",
    "run",
    "teach",
]

# Names are imported at their first use: `scholars --help` must not wait for torch.
_HOMES = {
    "auditing": ("audit",),
    "config": ("Recipe", "changed", "read_recipe"),
    "errors": ("InputError", "Interrupted", "ScholarsError", "ScholarsWarning"),
    "evaluate": ("accuracy",),
    "experiment": ("run",),
    "fitting": ("Session",),
    "generators": ("Generator",),
    "learning": ("learn",),
    "lifetime": ("teach",),
    "registry": ("register_generator", "register_solver"),
    "scholar": ("Scholar",),
    "settings": ("Settings",),
    "solvers": ("Solver",),
    "tasks": ("Images", "Task", "open_task"),
}


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"scholars.{home}"), name)
    raise AttributeError(f"module 'scholars' has no attribute {name!r}")
