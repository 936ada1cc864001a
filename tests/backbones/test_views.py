"""Views of a photograph follow from its digest; the plain one is the square around its centre."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from photographs import photo_task, photograph
from PIL import Image

from scholars.backbones.views import _crop, convert_squares, draw_views, squares
from scholars.errors import InputError
from scholars.settings import Fit
from scholars.tasks.images import Images

PHOTO = photograph("disc", 1)
ONE, OTHER = (hashlib.sha256(text).digest() for text in (b"one", b"other"))


def test_the_same_digest_has_the_same_views() -> None:
    views = draw_views(PHOTO, ONE, 4, 48, "bicubic", "crop")
    assert views.shape == (5, 3, 48, 48)
    assert views.dtype == np.uint8
    assert np.array_equal(draw_views(PHOTO, ONE, 4, 48, "bicubic", "crop"), views)
    # A view has its number, however many there are.
    assert np.array_equal(draw_views(PHOTO, ONE, 2, 48, "bicubic", "crop"), views[:3])
    changed = draw_views(PHOTO, OTHER, 4, 48, "bicubic", "crop")
    assert np.array_equal(changed[0], views[0])
    assert len(np.unique(np.concatenate([views[1:], changed[1:]]), axis=0)) == 8


def test_the_plain_view_is_the_centre_square() -> None:
    picture = Image.new("RGB", (90, 30), (255, 0, 0))
    picture.paste((0, 0, 255), (30, 0, 60, 30))
    (plain,) = draw_views(picture, ONE, 0, 16, "bilinear", "crop")
    # But for its outermost columns, into which Pillow mixes their neighbours.
    assert (plain[:, :, 1:-1] == np.array([0, 0, 255], np.uint8)[:, None, None]).all()
    # The others show nothing else.
    views = draw_views(picture, ONE, 20, 16, "bilinear", "crop")[:, :, :, 2:-2]
    assert (views == plain[:, :, 2:-2]).all()


def test_interpolations_differ() -> None:
    assert not np.array_equal(
        draw_views(PHOTO, ONE, 0, 20, "bicubic", "crop"), draw_views(PHOTO, ONE, 0, 20, "bilinear", "crop")
    )


def test_views_are_cropped_and_mirrored() -> None:
    """Of a picture that is dark on the left, some are dark on the right."""
    ramp = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8), (64, 64))
    views = draw_views(Image.fromarray(ramp.copy()), ONE, 40, 32, "bilinear", "crop")[1:].astype(int)
    rises = views[:, 0, 16, -1] - views[:, 0, 16, 0]
    assert 8 <= (rises < 0).sum() <= 32
    # A crop shows a part of the ramp: from sqrt(0.35 * 3 / 4) of its width on.
    assert (np.abs(rises) >= 0.5 * 0.9 * 252).all()
    assert len(np.unique(np.abs(rises))) > 10
    assert (np.abs(rises) <= 252).all()


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@settings(max_examples=60)
@given(width=st.integers(1, 400), height=st.integers(1, 400), seed=st.integers(0, 2**32))
def test_a_crop_of_all_of_a_picture_is_in_it(fit: Fit, width: int, height: int, seed: int) -> None:
    left, top, right, bottom = _crop((width, height), fit, np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert 0.3 <= (right - left) * (bottom - top) / (width * height) <= 1


@settings(max_examples=60)
@given(width=st.integers(1, 400), height=st.integers(1, 400), seed=st.integers(0, 2**32))
def test_a_crop_is_in_the_centre_square(width: int, height: int, seed: int) -> None:
    left, top, right, bottom = _crop((width, height), "crop", np.random.default_rng(seed))
    side = min(width, height)
    assert (width - side) / 2 - 1e-6 <= left < right <= (width + side) / 2 + 1e-6
    assert (height - side) / 2 - 1e-6 <= top < bottom <= (height + side) / 2 + 1e-6
    area, aspect = (right - left) * (bottom - top) / side**2, (right - left) / (bottom - top)
    assert 0.3 <= area <= 1 + 1e-6
    assert 0.74 <= aspect <= 1.34


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 2)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_tiny_pictures(size: tuple[int, int], mode: str) -> None:
    views = draw_views(Image.new(mode, size, "white"), ONE, 5, 16, "bicubic", "crop")
    assert views.shape == (6, 3, 16, 16)
    assert (views == 255).all()


def test_squares_of_images_arrays_and_pictures_are_equal(tmp_path: Path) -> None:
    square = PHOTO.crop((8, 0, 80, 72))
    array = np.asarray(square).transpose(2, 0, 1)[None]
    expected = draw_views(square, b"", 0, 32, "bicubic", "crop")
    assert np.array_equal(convert_squares([square], 32, "bicubic", "crop"), expected)
    assert np.array_equal(convert_squares(array, 32, "bicubic", "crop"), expected)
    assert np.array_equal(convert_squares(torch.from_numpy(array.copy()), 32, "bicubic", "crop"), expected)
    assert np.array_equal(squares(Images(array, np.zeros(1, np.int64)), 32, "bicubic", "crop"), expected)
    assert convert_squares([], 32, "bicubic", "crop").shape == (0, 3, 32, 32)


def test_squares_of_unreadable_files_are_listed(tmp_path: Path) -> None:
    task = photo_task(tmp_path, ("box", "disc"), 3)
    file = tmp_path / "train" / "disc" / "1.jpg"
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(InputError, match=r"1 of 6 images cannot be read; .*\n  train/disc/1\.jpg: "):
        squares(task.train, 16, "bicubic", "crop")


def test_views_of_a_long_picture_reach_its_ends_unless_it_is_cropped() -> None:
    picture = Image.new("RGB", (90, 30), (255, 0, 0))
    picture.paste((0, 0, 255), (80, 0, 90, 30))
    cropped, padded, stretched = (
        draw_views(picture, ONE, 30, 30, "bilinear", fit) for fit in ("crop", "pad", "stretch")
    )
    assert not (cropped[:, 2] > 200).any()
    for views in (padded, stretched):
        assert (views[0, 2] > 200).any()
        assert 10 <= (views[1:, 2].max(axis=(1, 2)) > 200).sum() < 30
    # What is padded stands between black, in every view.
    assert not padded[:, :, :8].any()
    assert not padded[:, :, -8:].any()
    assert padded[:, :, 15].any(axis=1).all()
