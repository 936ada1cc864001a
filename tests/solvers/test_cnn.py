"""The solver and its augmentation."""

from __future__ import annotations

import pytest
import torch

from scholars.config import ImageSettings, SolverSettings
from scholars.solvers import CNN, shifted


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (28, 1), (32, 3), (64, 3)])
def test_any_image_shape(size: int, channels: int) -> None:
    solver = CNN(SolverSettings(width=8), ImageSettings(size=size, channels=channels), classes=7)
    images = torch.randint(0, 256, (5, channels, size, size), dtype=torch.uint8)
    assert solver(images).shape == (5, 7)
    assert solver.features(images).shape == (5, 64)


def test_shifts_move_whole_images_by_at_most_so_many_pixels() -> None:
    torch.manual_seed(0)
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    seen = set()
    for moved in shifted(image.expand(300, -1, -1, -1), 2):
        dy, dx = next(
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(
                moved, image[0, :, (torch.arange(8) + dy).clamp(0, 7)][:, :, (torch.arange(8) + dx).clamp(0, 7)]
            )
        )
        seen.add((dy, dx))
    assert len(seen) == 25


def test_no_shift_is_no_change() -> None:
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(shifted(images, 0), images)
