"""What a look at a task gives, and in which order."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from photographs import arrays, own_features, photo_task, quick
from PIL import Image

from scholars.backbones import Backbone, forget_task, look, look_at, seen_by
from scholars.backbones.engines import OnnxEngine
from scholars.backbones.feature_cache import features_folder
from scholars.backbones.look import sort_by_digest
from scholars.backbones.views import squares
from scholars.errors import InputError, Interrupted
from scholars.learning.looking import look_at_task
from scholars.scholar.inputs import see
from scholars.settings import Fit, ImageSettings
from scholars.tasks.images import Images
from scholars.tasks.open import open_task
from scholars.tasks.transforms import grey

THINGS = ("box", "disc")
CROP: Fit = "crop"
PAD: Fit = "pad"


def test_features_of_views_and_of_test_images_plain(tiny_backbone: Backbone) -> None:
    task = look(arrays(THINGS, 5), tiny_backbone, 2, "crop")
    assert task.train.features is not None
    assert task.test.features is not None
    assert task.train.features.shape == (10, 3, 96)
    assert task.test.features.shape == (4, 1, 96)
    assert task.train.features.dtype == np.float16
    assert task.train.seen_by == seen_by(tiny_backbone, "crop")
    assert task.look_seconds > 0


def test_the_plain_view_is_what_the_backbone_sees(tiny_backbone: Backbone) -> None:
    part = look_at(arrays(THINGS, 5).train, tiny_backbone, 2, "crop")
    assert part.features is not None
    plain = tiny_backbone.features(torch.from_numpy(squares(part, 64, "bilinear", "crop")))
    assert np.array_equal(part.features[:, 0], plain.half().numpy())


def test_images_stand_in_the_order_of_their_digests(tiny_backbone: Backbone) -> None:
    given_part = arrays(THINGS, 9).train
    part = look_at(given_part, tiny_backbone, 0, "crop")
    names = [digest.tobytes() for digest in part.digests]
    assert names == sorted(names)
    labels = {digest.tobytes(): label for digest, label in zip(given_part.digests, given_part.labels, strict=True)}
    assert [labels[name] for name in names] == part.labels.tolist()
    # Whatever order they came in.
    shuffled = given_part[np.random.default_rng(1).permutation(18)]
    again = look_at(shuffled, tiny_backbone, 0, "crop")
    assert again.features is not None
    assert part.features is not None
    assert np.array_equal(again.features, part.features)
    assert np.array_equal(again.labels, part.labels)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=12))
def test_equal_images_stand_in_the_order_of_their_labels(pairs: list[tuple[int, int]]) -> None:
    pixels = np.array([level for level, _ in pairs], np.uint8)[:, None, None, None]
    part = sort_by_digest(Images(pixels, np.array([label for _, label in pairs], np.int64)))
    keys = [(digest.tobytes(), int(label)) for digest, label in zip(part.digests, part.labels, strict=True)]
    assert keys == sorted(keys)
    assert sorted(zip(part.images[:, 0, 0, 0].tolist(), part.labels.tolist(), strict=True)) == sorted(pairs)
    assert sort_by_digest(part) is part


def test_arrays_and_files_of_equal_pixels_have_equal_features(tiny_backbone: Backbone, tmp_path: Path) -> None:
    task = arrays(THINGS, 4)
    for number, (image, label) in enumerate(zip(task.train.images, task.train.labels, strict=True)):
        folder = tmp_path / "train" / THINGS[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number}.png")
    shutil.copytree(tmp_path / "train", tmp_path / "test")
    with pytest.warns(UserWarning, match="in both parts"):
        files = open_task(tmp_path, decode=False)
    a, b = (look_at(part, tiny_backbone, 0, "crop", keep=False).features for part in (task.train, files.train))
    assert a is not None
    assert b is not None
    # In another order: digests are of files, or of pixels.
    assert np.array_equal(np.unique(a[:, 0], axis=0), np.unique(b[:, 0], axis=0))


def test_progress_and_speed(tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_features(monkeypatch, tmp_path)
    ticks: list[tuple[int, int, float]] = []
    look(arrays(THINGS, 20), tiny_backbone, 0, "crop", on_progress=lambda *tick: ticks.append(tick))
    assert [(done, total) for done, total, _ in ticks] == [(16, 44), (32, 44), (40, 44), (44, 44)]
    assert all(speed > 0 for *_, speed in ticks)


def test_a_resumed_look_says_how_fast_it_is_now(
    tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not how fast it would be, had it seen what was there already."""
    own_features(monkeypatch, tmp_path)
    part, done = arrays(THINGS, 40).train, list[int]()
    with pytest.raises(Interrupted, match=r"at \d\d of 80"):
        look_at(
            part, tiny_backbone, 0, "crop", on_progress=lambda at, _: done.append(at), stopping=lambda: len(done) >= 3
        )
    assert 48 <= done[-1] < 80
    clock = iter(np.arange(0, 1000, 1.0))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    speeds: list[float] = []
    look_at(part, tiny_backbone, 0, "crop", on_progress=lambda _, speed: speeds.append(speed))
    assert speeds
    assert max(speeds) <= 16


def test_stopping_at_once(tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_features(monkeypatch, tmp_path)
    with pytest.raises(Interrupted, match="at 0 of 6"):
        look_at(arrays(THINGS, 3).train, tiny_backbone, 0, "crop", stopping=lambda: True)


def test_whoever_is_interrupted_anywhere_sees_no_image_twice(
    tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By three threads, stopped again and again."""
    own_features(monkeypatch, tmp_path)
    part, batches = arrays(THINGS, 60).train, list[int]()
    run = OnnxEngine.run

    def counted(self: OnnxEngine, images: torch.Tensor) -> torch.Tensor:
        batches.append(1)
        time.sleep(0.03)  # for the others to be interrupted, too
        return run(self, images)

    def beyond(before: int) -> bool:
        return len(batches) > before

    monkeypatch.setattr(OnnxEngine, "run", counted)
    threads, attempts, seen = torch.get_num_threads(), 0, None
    torch.set_num_threads(3)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    try:
        while seen is None:
            attempts, before = attempts + 1, len(batches)
            try:
                seen = look_at(part, tiny_backbone, 1, "crop", stopping=partial(beyond, before))
            except Interrupted:
                continue
    finally:
        torch.set_num_threads(threads)
    assert attempts > 1
    assert len(batches) == -(-2 * 120 // 16)
    monkeypatch.undo()
    whole = look_at(part, tiny_backbone, 1, "crop", keep=False)
    assert whole.features is not None
    assert seen.features is not None
    assert np.array_equal(seen.features, whole.features)


def test_a_task_is_forgotten(tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_features(monkeypatch, tmp_path)
    task = photo_task(tmp_path / "photos", THINGS, 3)
    seen = look(task, tiny_backbone, 1, "crop")
    assert len(list(features_folder().glob("*/features.f16"))) == 2
    forget_task(task, tiny_backbone)
    assert len(list(features_folder().glob("*/features.f16"))) == 2
    forget_task(seen, tiny_backbone)
    assert not list(features_folder().glob("*/features.f16"))


def test_a_transform_views_the_backbone_and_the_fit_have_features_of_their_own(
    tiny_backbone: Backbone, lite: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_features(monkeypatch, tmp_path)
    part = photo_task(tmp_path / "photos", THINGS, 3).train
    seen = [
        look_at(each, backbone, views, fit).features
        for each, backbone, views, fit in (
            (part, tiny_backbone, 0, CROP),
            (part, tiny_backbone, 1, CROP),
            (part.transformed(grey()), tiny_backbone, 0, CROP),
            (part, lite, 0, CROP),
            (part, tiny_backbone, 0, PAD),
        )
    ]
    assert len(list(features_folder().glob("*/features.f16"))) == 5
    assert seen[0] is not None
    assert seen[2] is not None
    assert not np.array_equal(seen[0], seen[2])
    assert seen[4] is not None
    assert not np.array_equal(seen[0], seen[4])


def test_features_of_another_backbone_are_refused(tiny_backbone: Backbone, lite: Backbone) -> None:
    task = look(arrays(THINGS, 3), tiny_backbone, 0, "crop")
    with pytest.raises(InputError, match="of another backbone than efficientnet-lite0"):
        look_at_task(task, lite, quick())
    with pytest.raises(InputError, match="of another backbone"):
        see(task.test, ImageSettings(size=64), lite)
    assert look_at_task(task, tiny_backbone, quick()) is task
    mixed = replace(task, test=look(arrays(THINGS, 3), lite, 0, "crop").test)
    with pytest.raises(InputError, match="of another backbone"):
        look_at_task(mixed, tiny_backbone, quick())


def test_features_that_half_precision_cannot_hold_are_refused(
    tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Backbone, "features", lambda self, images: torch.full((len(images), 96), 1e5))
    with pytest.raises(InputError, match="half precision cannot hold: choose another backbone"):
        look_at(arrays(THINGS, 3).train, tiny_backbone, 0, "crop", keep=False)
