"""Copies and bursts are found; other photos of one composition are not."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from scholars.tasks.near_duplicates import FINGERPRINT_BYTES, fingerprint, group_near_duplicates


def scene(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)


def saved(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def groups(*pictures: Image.Image) -> list[int]:
    found = group_near_duplicates(np.stack([fingerprint(picture) for picture in pictures]))
    return [found.tolist().index(group) for group in found.tolist()]


def test_copies_are_found_whatever_they_were_saved_as() -> None:
    one, other = scene(0), scene(1)
    copies = [saved(one, 20), one.resize((80, 60)), one.convert("L"), one.resize((640, 480))]
    assert groups(one, other, *copies) == [0, 1, 0, 0, 0, 0]


def test_things_of_one_composition_are_told_apart() -> None:
    """Their hashes are as close as those of copies: the same outline, another print."""
    shirts = []
    for box in ((60, 30, 100, 60), (60, 70, 100, 110)):
        shirt = Image.new("RGB", (160, 120), "#b02050")
        draw = ImageDraw.Draw(shirt)
        draw.rectangle((40, 10, 120, 118), fill="#e0e0e0")
        draw.rectangle(box, fill="#102040")
        shirts.append(shirt)
    assert groups(*shirts) == [0, 1]


def test_pictures_that_show_nothing_are_no_copies() -> None:
    assert groups(*(Image.new("L", (100, 100), level) for level in (10, 11, 200))) == [0, 1, 2]


def test_links_are_followed() -> None:
    """Of a burst the first and the last may differ more than any neighbours do."""
    burst = [np.random.default_rng(0).integers(0, 256, FINGERPRINT_BYTES, np.uint8)]
    for byte in range(3):
        burst.append(burst[-1].copy())
        burst[-1][byte] ^= 0b1111
    assert len(set(group_near_duplicates(np.stack([burst[0], burst[3]])).tolist())) == 2
    assert len(set(group_near_duplicates(np.stack(burst)).tolist())) == 1


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 63), max_size=6, unique=True))
def test_a_pair_is_found_if_four_bits_differ_or_less(seed: int, flipped: list[int]) -> None:
    """Wherever they are: the parts by which pairs are looked for leave none out."""
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 256, FINGERPRINT_BYTES, np.uint8)
    other = one.copy()
    for bit in flipped:
        other[bit // 8] ^= 1 << bit % 8
    found = group_near_duplicates(np.stack([one, other]))
    assert (found[0] == found[1]) == (len(flipped) <= 4)


def test_many_copies_of_one_picture_fill_no_memory() -> None:
    """Frames of a camera that stands still: every one is close to every other, and they are compared block by block."""
    rng = np.random.default_rng(0)
    frames = np.tile(rng.integers(0, 256, FINGERPRINT_BYTES, np.uint8), (4000, 1))
    frames[:, 8:] ^= rng.integers(0, 4, (4000, FINGERPRINT_BYTES - 8), np.uint8)
    tracemalloc.start()
    found = group_near_duplicates(frames)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(set(found.tolist())) == 1
    assert peak < 2**26
