"""Transforms of pictures do what they say."""

from __future__ import annotations

import pickle

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from scholars.tasks.transforms import Transform, blur, edges, grey, invert, rotate

COLOURS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PICTURE = Image.fromarray(COLOURS)


def applied(transform: Transform, picture: Image.Image = PICTURE) -> npt.NDArray[np.int64]:
    return np.asarray(transform.apply(picture)).astype(np.int64)


def half(width: int = 64) -> Image.Image:
    """Dark on the left, bright on the right."""
    return Image.fromarray(np.repeat([[40] * (width // 2) + [200] * (width // 2)], 48, axis=0).astype(np.uint8))


@pytest.mark.parametrize("transform", [invert(), rotate(30), grey(), edges(), blur(0.05)], ids=lambda each: each.name)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_picture_stays_one_of_its_size(transform: Transform, mode: str) -> None:
    before = PICTURE.convert(mode)
    found = transform.apply(before)
    assert found.size == (30, 20)
    assert found.mode in ("L", mode)
    assert np.array_equal(np.asarray(before), np.asarray(PICTURE.convert(mode)))
    assert np.array_equal(np.asarray(pickle.loads(pickle.dumps(transform)).apply(before)), np.asarray(found))


def test_invert() -> None:
    assert np.array_equal(applied(invert()), 255 - COLOURS.astype(int))


def test_grey_is_the_luma_of_the_colours() -> None:
    found = applied(grey())
    assert found.shape == (20, 30)
    assert np.abs(found - COLOURS @ np.array([0.299, 0.587, 0.114])).max() <= 1


def test_rotate_is_counter_clockwise_with_black_corners() -> None:
    square = PICTURE.crop((0, 0, 20, 20))
    assert np.array_equal(applied(rotate(90), square), np.rot90(np.asarray(square)))
    white = applied(rotate(45), Image.new("L", (40, 40), 255))
    assert white[0, 0] == white[0, -1] == white[-1, 0] == 0
    assert white[20, 20] == 255


def test_edges_are_dark_lines_on_white() -> None:
    found = applied(edges(), half())
    assert found.shape == (48, 64)
    assert (found[1:-1, 30:34].min(axis=1) < 60).all()
    assert (found[:, :28] == 255).all()
    assert (found[:, 36:] == 255).all()


def test_a_picture_without_edges_is_white() -> None:
    assert (applied(edges(), Image.new("RGB", (30, 30), (10, 200, 30))) == 255).all()


def test_blur_is_by_a_share_of_the_shorter_side() -> None:
    """A step becomes the integral of a Gaussian: 16 % to 84 % of it within one standard deviation on each side."""
    row = applied(blur(1 / 12), half())[24]  # 48 / 12 = 4 pixels
    share = (row - 40) / 160
    assert share[31] == pytest.approx(0.45, abs=0.05)
    assert share[32 - 4] == pytest.approx(0.19, abs=0.06)
    assert share[32 + 3] == pytest.approx(0.81, abs=0.06)
    assert np.abs(applied(blur(0)) - COLOURS).max() == 0


def test_equal_names_are_of_equal_transforms() -> None:
    """Features and decoded images are kept under them."""
    assert rotate(30).name == rotate(30.0).name == "rotate 30.0"
    assert rotate(30.0000001).name != rotate(30).name
    assert blur(0.0100000001).name != blur(0.01).name
    assert len({each.name for each in (invert(), grey(), edges(), blur(1), rotate(1))}) == 5
