"""Images in files are decoded when they are needed, and not before."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scholars.errors import InputError
from scholars.tasks import decoding, image_files
from scholars.tasks.image_files import unreadable
from scholars.tasks.images import Images
from scholars.tasks.open import open_task
from scholars.tasks.task import Task
from scholars.tasks.transforms import grey, invert

SIDES = {"a": (70, 90), "b": (100, 80)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Coloured pictures of two sizes, five of each class, and two for the test."""
    rng = np.random.default_rng(0)
    for part, each in (("train", 5), ("test", 2)):
        for name, (width, height) in SIDES.items():
            place = tmp_path / "photos" / part / name
            place.mkdir(parents=True)
            for number in range(each):
                pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes how many pictures were decoded."""
    found: list[int] = []
    plain = decoding.open_upright

    def counted(content: bytes, least: int | None = None) -> Image.Image:
        found.append(1)
        return plain(content, least)

    monkeypatch.setattr(decoding, "open_upright", counted)
    monkeypatch.setattr(image_files, "open_upright", counted)
    return found


def test_nothing_is_kept_decoded_before_it_is_needed(folder: Path, decoded: list[int]) -> None:
    task = open_task(folder, decode=False)
    changed = task.select_classes(("b", "a")).inverted().transformed(grey()).sampled(2, seed=0)
    changed = changed.with_validation_split(0.5).rotated(90)
    part = changed.train
    assert part.pixels is None
    assert part.files is not None
    assert [transform.name for transform in part.files.transforms] == ["invert", "grey", "rotate 90.0"]
    assert (len(part), len(task.train), part.median_side > 0, len(part.digests)) == (2, 10, True, 2)
    assert task.digest != changed.digest
    assert task.train.nbytes == sum(file.stat().st_size for file in folder.glob("train/*/*"))
    assert repr(part) == "<2 images in files>"
    assert len(decoded) == 14  # at a fraction, to find near-duplicates
    assert part.images.shape == (2, 1, 64, 64)
    assert len(decoded) == 16
    assert part.images is part.images


def test_decoded_now_or_later_they_are_the_same(folder: Path, decoded: list[int]) -> None:
    now, later = open_task(folder), open_task(folder, decode=False)
    assert len(decoded) == 14 + 14 + 14
    assert now.train.pixels is not None
    assert np.array_equal(now.train.images, later.train.images)
    assert np.array_equal(now.train.labels, later.train.labels)
    assert np.array_equal(now.train.digests, later.train.digests)
    # Inverted after it was resized, or before: rounded otherwise.
    differences = now.inverted().train.images.astype(int) - later.inverted().train.images
    assert np.abs(differences).max() <= 2
    assert now.resized(1, 32).train.images.shape == later.resized(1, 32).train.images.shape == (10, 1, 32, 32)


def test_images_are_chosen_with_their_files(folder: Path) -> None:
    part = open_task(folder, decode=False).train
    whole = part.images
    for index in (np.array([3, 0, 3]), part.labels == 1, slice(2, 5)):
        some = part[index]
        assert np.array_equal(some.images, whole[index])
        assert np.array_equal(some.labels, part.labels[index])
        assert np.array_equal(some.digests, part.digests[index])
        assert some.files is not None
        assert part.files is not None
        assert len(some.files.keys) == len(some)
        assert [hashlib.sha256(some.files.read(key)).digest() for key in some.files.keys] == [
            digest.tobytes() for digest in some.digests
        ]


def test_the_median_side_is_that_of_the_files(folder: Path) -> None:
    task = open_task(folder, decode=False)
    assert task.train.median_side == 75  # half of 70, half of 80
    assert task.select_classes(("a",)).train.median_side == 70
    assert open_task(folder).train.median_side == 75
    assert Images(np.zeros((2, 3, 40, 30), np.uint8), np.zeros(2, np.int64)).median_side == 30


def test_digests_of_arrays_are_of_pixels_and_shape() -> None:
    pixels = np.arange(2 * 12, dtype=np.uint8).reshape(2, 3, 2, 2)
    part = Images(pixels, np.zeros(2, np.int64))
    assert part.digests.shape == (2, 32)
    assert part.digests[0].tobytes() == hashlib.sha256(b"(3, 2, 2)" + pixels[0].tobytes()).digest()
    other = Images(pixels.reshape(2, 3, 1, 4), np.zeros(2, np.int64))
    assert not np.array_equal(part.digests, other.digests)
    assert np.array_equal(part[np.array([1])].digests, part.digests[1:])


def test_the_digest_of_files_says_what_was_done_to_them(folder: Path) -> None:
    part = open_task(folder, decode=False).train
    digests = {each.content_digest for each in (part, part.transformed(grey()), part.transformed(invert()), part[:5])}
    assert len(digests) == 4
    assert open_task(folder, decode=False).train.content_digest == part.content_digest


def test_transforms_are_applied_in_their_order_before_the_picture_is_resized(folder: Path) -> None:
    part = open_task(folder, decode=False).train.transformed(grey()).transformed(invert())
    assert part.files is not None
    sizes, bad = part.map_pictures(lambda picture, digest: (picture.mode, picture.size, digest), 8)
    assert bad == []
    assert [size for _, size, _ in sizes] == [Image.open(folder / key).size for key in part.files.keys]
    assert {mode for mode, *_ in sizes} == {"L"}
    assert [digest for *_, digest in sizes] == [digest.tobytes() for digest in part.digests]
    plain = open_task(folder, decode=False).train.map_pictures(lambda picture, _: np.asarray(picture.convert("L")), 8)[
        0
    ]
    changed = part.map_pictures(lambda picture, _: np.asarray(picture), 8)[0]
    assert all(np.array_equal(255 - a, b) for a, b in zip(plain, changed, strict=True))


def test_arrays_are_transformed_at_once_and_lose_their_features() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 8, 8), dtype=np.uint8)
    part = Images(pixels, np.arange(3), features=np.zeros((3, 1, 4), np.float16), seen_by="x")
    changed = part.transformed(invert())
    assert np.array_equal(changed.images, 255 - pixels)
    assert changed.features is None
    assert changed.seen_by is None
    assert part.transformed(grey()).images.shape == (3, 3, 8, 8)


def test_features_stay_with_their_images() -> None:
    features = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
    part = Images(np.zeros((3, 1, 4, 4), np.uint8), np.arange(3), features, seen_by="x", seconds=2.0)
    some = part[np.array([2, 0])]
    assert np.array_equal(some.feature_tensor, torch.from_numpy(features[[2, 0]]))
    assert (some.seen_by, some.seconds) == ("x", 2.0)


def test_what_is_missing_is_said() -> None:
    labels = np.zeros(2, np.int64)
    features = Images(None, labels, features=np.zeros((2, 1, 4), np.float16))
    with pytest.raises(InputError, match="features without images"):
        _ = features.images
    with pytest.raises(InputError, match="no backbone has looked"):
        _ = Images(np.zeros((2, 1, 4, 4), np.uint8), labels).feature_tensor
    others: list[Any] = [np.zeros((2, 1, 4, 4)), np.zeros((2, 2, 4, 4), np.uint8), np.zeros((2, 4, 4), np.uint8)]
    for wrong in others:
        with pytest.raises(InputError, match="images must be uint8"):
            Images(wrong, labels)
    with pytest.raises(InputError, match="labels must be int64"):
        Images(np.zeros((2, 1, 4, 4), np.uint8), labels.astype(np.int32))
    with pytest.raises(InputError, match="3 images but 2 labels"):
        Images(np.zeros((3, 1, 4, 4), np.uint8), labels)
    with pytest.raises(InputError, match="1 features but 2 labels"):
        Images(np.zeros((2, 1, 4, 4), np.uint8), labels, features=np.zeros((1, 1, 4), np.float16))


def broken(folder: Path) -> Task:
    """Two files that were damaged once they had been found whole."""
    files = [folder / "train" / name / "1.png" for name in ("a", "b")]
    for number, file in enumerate(files, start=1):  # of other content: that of the others is in the cache
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(file)
    task = open_task(folder, decode=False)
    for file in files:
        file.write_bytes(file.read_bytes()[:2000])
    return task


def test_unreadable_files_are_listed(folder: Path) -> None:
    part = broken(folder).train
    with pytest.raises(InputError, match=r"photos: 2 of 10 images cannot be read; replace or remove:") as caught:
        _ = part.images
    assert all(f"\n  train/{name}/1.png: " in str(caught.value) for name in ("a", "b"))
    found, bad = part.map_pictures(lambda picture, digest: digest, 8)
    assert len(found) == 8
    assert sorted(line.split(":")[0] for line in bad) == ["  train/a/1.png", "  train/b/1.png"]


def test_a_file_that_is_gone_is_listed(folder: Path) -> None:
    task = open_task(folder, decode=False)
    (folder / "test" / "a" / "0.png").unlink()
    found, bad = task.test.map_pictures(lambda picture, digest: digest, 8)
    assert len(found) == 3
    assert bad == ["  test/a/0.png: is no file"]


def test_of_many_unreadable_files_some_are_shown() -> None:
    said = str(unreadable("x", [f"  {number}" for number in range(1000)], 2000))
    assert said.startswith("x: 1000 of 2000 images cannot be read")
    assert len(said) < 1000
