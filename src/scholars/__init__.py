"""Continual learning by deep generative replay.

>>> from scholars import learn, open_task
>>> one = learn(open_task("mnist"))  # doctest: +SKIP
>>> two = learn(open_task("svhn"), previous=one)  # mnist's data is not read  # doctest: +SKIP
"""

import ast
import importlib
from pathlib import Path

# The stub for type checkers lists what is exported. Names are imported at their first use: `scholars --help` must not
# wait for torch.
_STUB = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_MODULES = dict(
    sorted(
        (alias.name, node.module or "")
        for node in _STUB.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )
)
__all__ = list(_MODULES)


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'scholars' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)
