"""Images of any shape, brought to the shape that a scholar has."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scholars.tasks.images import Images
from scholars.tasks.resize import as_tensor, resize_images


@given(
    count=st.integers(1, 3),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    wanted=st.sampled_from([1, 3]),
    size=st.integers(2, 40),  # torch's resizing of colour to a single pixel fails inside
)
def test_resized_shapes(count: int, channels: int, height: int, width: int, wanted: int, size: int) -> None:
    pixels = np.full((count, channels, height, width), 77, dtype=np.uint8)
    fitted = resize_images(pixels, wanted, size)
    assert fitted.shape == (count, wanted, size, size)
    assert fitted.dtype == np.uint8
    assert np.abs(fitted.astype(int) - 77).max() <= 1  # no border is added


def test_resized_crops_around_the_centre() -> None:
    pixels = np.zeros((1, 1, 4, 12), dtype=np.uint8)
    pixels[..., 4:8] = 200
    assert (resize_images(pixels, 1, 4) == 200).all()


def test_resized_turns_colour_to_grey_by_weight_and_grey_to_equal_channels() -> None:
    green = np.zeros((1, 3, 4, 4), dtype=np.uint8)
    green[:, 1] = 255
    blue = green[:, [0, 2, 1]]
    assert resize_images(green, 1, 4).mean() > resize_images(blue, 1, 4).mean() > 0
    colour = resize_images(np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4), 3, 8)
    assert (colour == colour[:, :1]).all()


def test_resized_works_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3, 9, 7), dtype=np.uint8)
    whole = resize_images(pixels, 1, 5)
    monkeypatch.setattr("scholars.tasks.resize.CHUNK", 4)
    assert np.array_equal(resize_images(pixels, 1, 5), whole)


def test_resized_reads_arrays_that_are_not_its_own_silently() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 1, 6, 6), dtype=np.uint8)
    expected = resize_images(pixels, 3, 4)
    pixels.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(resize_images(pixels, 3, 4), expected)
        assert np.array_equal(resize_images(pixels[:, :, ::-1], 3, 4)[:, :, ::-1], expected)


def test_views_that_run_backwards_become_tensors() -> None:
    """As ``images[:, ::-1]`` makes RGB of BGR; torch takes no such array. Others share their memory."""
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 4, 4), dtype=np.uint8)
    assert np.array_equal(as_tensor(pixels[:, ::-1]).numpy(), pixels[:, ::-1])
    data = Images(pixels[::-1], np.arange(3)[::-1])
    assert np.array_equal(data.tensor.numpy(), pixels[::-1])
    assert data.label_tensor.tolist() == [2, 1, 0]
    assert as_tensor(pixels).data_ptr() == pixels.ctypes.data
