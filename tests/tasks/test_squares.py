"""Squares of pictures: cropped, padded or stretched, the same by Pillow and by torch; and what cropping loses."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scholars.errors import ScholarsWarning
from scholars.settings import Fit
from scholars.tasks.decoding import read_headers
from scholars.tasks.open import open_task
from scholars.tasks.resize import convert_images, resize_images
from scholars.tasks.squares import RESAMPLING, Interpolation, fit_square, padded_sides, warn_about_cropping

from .image_folders import put

FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")


def thirds(height: int = 30) -> npt.NDArray[np.uint8]:
    """A picture ``[H, 3 H]`` whose thirds have levels 60, 120 and 180."""
    return np.repeat(np.array([60, 120, 180], np.uint8), height)[None].repeat(height, axis=0)


def noise(height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(30, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", RESAMPLING)
def test_cropping_shows_the_centre_stretching_all_and_padding_all_between_black(method: Interpolation) -> None:
    crop, pad, stretch = (np.asarray(fit_square(Image.fromarray(thirds()), 30, method, fit)) for fit in FITS)
    assert (crop[:, 2:-2] == 120).all()
    for rows in (stretch, pad[10:20]):
        assert [int(level) for level in rows[5, [0, 5, 14, 24, 29]]] == [60, 60, 120, 180, 180]
    assert not pad[:10].any()
    assert not pad[20:].any()
    # Tall ones likewise.
    tall = np.asarray(fit_square(Image.fromarray(thirds().T), 30, method, "pad"))
    assert np.abs(tall.astype(int) - pad.T).max() <= 1


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [(90, 30, 30, (30, 10)), (900, 5, 64, (64, 1)), (2, 3, 5, (3, 5)), (3, 4, 6, (5, 6)), (1, 1000, 8, (1, 8))],
)
def test_sides_that_fit(width: int, height: int, size: int, expected: tuple[int, int]) -> None:
    """4.5 becomes 5, and nothing vanishes."""
    assert padded_sides(width, height, size) == expected


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    size=st.integers(8, 40),
    fit=st.sampled_from(["pad", "stretch"]),
)
def test_arrays_become_what_pictures_do(height: int, width: int, size: int, fit: Fit) -> None:
    pixels = noise(height, width)
    array = resize_images(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None], 3, size, fit)[0].transpose(1, 2, 0)
    picture = np.asarray(fit_square(Image.fromarray(pixels), size, "bilinear", fit))
    assert np.abs(array.astype(int) - picture).max() <= 2
    assert np.array_equal(array == 0, picture == 0)  # the same places are black


@pytest.mark.parametrize("fit", FITS)
def test_of_a_square_it_does_not_matter(fit: Fit) -> None:
    picture = Image.fromarray(noise(40, 40))
    assert fit_square(picture, 16, "bicubic", fit).tobytes() == fit_square(picture, 16, "bicubic", "crop").tobytes()
    array = np.asarray(picture).transpose(2, 0, 1)[None]
    assert np.array_equal(resize_images(array, 3, 16, fit), resize_images(array, 3, 16))


def test_only_a_part_can_be_shown() -> None:
    picture = Image.fromarray(thirds())
    left = np.asarray(fit_square(picture, 12, "bilinear", "pad", box=(0, 0, 30, 15)))
    assert not left[:3].any()
    assert not left[9:].any()
    assert (left[3:9, :-1] == 60).all()


def folder_of_thirds(folder: Path) -> Path:
    for name, order in (("up", 1), ("down", -1)):
        for number in range(4):
            pixels = thirds()[:, ::order].copy()
            pixels[0, 0] = number  # files of their own
            put(folder / name / f"{number}.png", Image.fromarray(pixels))
    return folder


def test_files_arrays_and_pictures_are_fitted_alike(tmp_path: Path) -> None:
    folder = folder_of_thirds(tmp_path)
    for fit in FITS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if fit == "crop" else "error")
            task = open_task(folder, size=12, channels=1, fit=fit)
        for image, label in zip(task.train.images, task.train.labels, strict=True):
            pixels = thirds()[:, :: 1 if task.classes[label] == "up" else -1]
            for given_images in ([Image.fromarray(pixels)], pixels[None, None]):
                (expected,) = convert_images(given_images, 1, 12, fit)
                # But for the pixel that tells the files apart.
                assert np.abs(image.astype(int) - expected)[:, 7:].max(initial=0) <= 1


@pytest.mark.parametrize("decode", [True, False])
def test_what_was_cropped_when_it_was_opened_is_still_in_the_files(tmp_path: Path, decode: bool) -> None:
    with pytest.warns(ScholarsWarning, match="lose more than a third"):
        task = open_task(folder_of_thirds(tmp_path), size=12, channels=1, decode=decode)
    stretched = task.resized(1, 12, "stretch")
    row = stretched.train.images[0, 0, 6]
    assert {int(row[1]), int(row[-2])} == {60, 180}
    # A cache of its own: the cropped ones are as they were.
    assert np.ptp(task.resized(1, 12).train.images[0, 0, 6, 1:-1]) == 0


# The warning


def test_photographs_of_3_to_2_lose_no_more_than_a_third() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_about_cropping("here", [1 - 2 / 3, 1 - 333 / 500, 1 - 427 / 640] * 5, "crop")


@pytest.mark.parametrize("fit", FITS)
def test_most_images_must_lose_much_and_by_cropping(fit: Fit) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_about_cropping("here", [1 - 9 / 16, 0.0], fit)
        assert not caught
        warn_about_cropping("here", [1 - 9 / 16, 2 / 3, 0.0], fit)
    said = [str(one.message) for one in caught]
    if fit == "crop":
        (text,) = said
        assert text.startswith("here: 2 of 3 images lose more than a third")
        assert "image.fit=pad" in text
        assert "image.fit=stretch" in text
    else:
        assert said == []


def test_what_a_header_says_is_lost_whichever_side_is_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(noise(30, 90))
    picture.save(tmp_path / "a.jpg")
    picture.save(tmp_path / "b.jpg", exif=exif)
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "c.jpg")
    files = {str(file): file.read_bytes() for file in tmp_path.iterdir()}
    for header in read_headers(files.__getitem__, list(files)):
        assert not isinstance(header, str)
        assert header.cropped == pytest.approx(2 / 3)


def test_arrays_are_warned_of_too(tmp_path: Path) -> None:
    images, labels = np.zeros((4, 8, 24), np.uint8), np.array([0, 1, 0, 1])
    np.savez(tmp_path / "wide.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.warns(ScholarsWarning, match=r"wide\.npz: 8 of 8 images lose more than a third"):
        open_task(tmp_path / "wide.npz")
