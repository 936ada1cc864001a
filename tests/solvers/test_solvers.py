"""The solvers."""

from __future__ import annotations

import pytest
import torch

from scholars.compute.device import to_float
from scholars.settings import ImageSettings, SolverSettings
from scholars.solvers import build_solver
from scholars.solvers.cnn import CNN
from scholars.solvers.mlp import MLP


@pytest.mark.parametrize(("kind", "depth"), [("cnn", 64), ("mlp", 8)])
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3), (64, 3)])
def test_any_image_shape(kind: str, depth: int, size: int, channels: int) -> None:
    solver = build_solver(SolverSettings(kind=kind, width=8), ImageSettings(size=size, channels=channels), classes=7)
    images = torch.randint(0, 256, (5, channels, size, size), dtype=torch.uint8)
    assert solver(images).shape == (5, 7)
    assert solver.features(images).shape == (5, depth)


def test_the_order_of_pixels_is_nothing_to_a_perceptron() -> None:
    """With its first weights in the same order as the pixels, it says the same."""
    solver = MLP(SolverSettings(width=8), ImageSettings(size=8, channels=1), classes=3)
    images = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    expected = solver(images)
    order = torch.randperm(64)
    with torch.no_grad():
        first = next(solver.parameters())
        first.copy_(first[:, order])
    torch.testing.assert_close(solver(images.flatten(1)[:, order].view_as(images)), expected)


def test_norms_folded_into_convolutions_change_nothing() -> None:
    torch.manual_seed(0)
    solver = CNN(SolverSettings(width=8), ImageSettings(size=16, channels=3), classes=4)
    for layer in solver.body:
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, -2, 2)  # a negative gain swaps maxima and minima
            torch.nn.init.normal_(layer.bias)
    images = torch.randint(0, 256, (20, 3, 16, 16), dtype=torch.uint8)
    for _ in range(3):  # the norms' statistics move off 0 and 1
        solver.train()(images)
    solver.eval()
    maps = solver.body(to_float(images))
    expected = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)
    torch.testing.assert_close(solver.features(images), expected, rtol=1e-4, atol=1e-4)
