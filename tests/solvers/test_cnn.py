"""The solver."""

from __future__ import annotations

import pytest
import torch

from scholars.settings import ImageSettings, SolverSettings
from scholars.solvers import CNN


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3), (64, 3)])
def test_any_image_shape(size: int, channels: int) -> None:
    solver = CNN(SolverSettings(width=8), ImageSettings(size=size, channels=channels), classes=7)
    images = torch.randint(0, 256, (5, channels, size, size), dtype=torch.uint8)
    assert solver(images).shape == (5, 7)
    assert solver.features(images).shape == (5, 64)
