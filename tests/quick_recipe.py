"""An experiment that runs in seconds: two tasks of small digits, networks of perceptrons."""

from __future__ import annotations

from conftest import TINY

# A step of a perceptron takes a tenth of a convolutional network's.
RECIPE: dict[str, object] = {
    "tasks": [
        {"source": "digits", "name": "low", "classes": list("01234")},
        {"source": "digits", "name": "high", "classes": list("56789"), "limit": 300},
    ],
    **TINY,
    "solver": {"kind": "mlp", "width": 64, "steps": 60, "batch": 32, "shift": 0},
    "generator": {"kind": "flow", "net": "mlp", "width": 32, "steps": 12, "batch": 16, "sampling_steps": 2},
}
