"""Whether a new scholar has a backbone, and the shape of the images of one without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from photographs import photo_task
from PIL import Image

from scholars.errors import InputError
from scholars.learning.looking import choose_settings, decided_settings
from scholars.tasks.digits import read_digits
from scholars.tasks.images import Images
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return photo_task(tmp_path_factory.mktemp("photos"), ("disc", "box"), each=3)


def test_photographs_get_the_embedded_backbone(photos: Task) -> None:
    chosen = choose_settings(photos)
    assert chosen.settings.backbone and chosen.settings.backbone.name == "efficientnet-lite0"
    assert (chosen.settings.solver.kind, chosen.settings.generator.kind) == ("head", "mixture")
    assert "their median shorter side is 72 pixels" in chosen.reason


def test_small_pictures_get_none() -> None:
    chosen = choose_settings(read_digits())
    assert chosen.settings.backbone is None
    assert "for small pictures (their median shorter side is 8 pixels)" in chosen.reason


def test_what_was_asked_for_decides(photos: Task) -> None:
    assert choose_settings(photos, backbone="none").settings.backbone is None
    asked = choose_settings(read_digits(), backbone="efficientnet-lite0").settings.backbone
    assert asked and asked.name == "efficientnet-lite0"
    views = choose_settings(read_digits(), {"backbone.views": 0}).settings.backbone
    assert views and views.views == 0


@pytest.mark.parametrize("change", [("image.size", 16), ("solver.kind", "cnn"), ("generator.kind", "own-kind")])
def test_settings_of_pixels_decide_for_pixels(photos: Task, change: tuple[str, object]) -> None:
    if change[0] == "generator.kind":
        with pytest.raises(InputError, match="own-kind"):  # chosen for pixels, and not registered
            choose_settings(photos, dict([change]))
        return
    chosen = choose_settings(photos, dict([change]))
    assert chosen.settings.backbone is None
    assert f"because {change[0]} is set" in chosen.reason


def test_a_slip_is_no_way_to_pixels(photos: Task) -> None:
    """Learning pixels takes minutes instead of seconds: nobody gets it by a setting that a backbone does not have."""
    with pytest.raises(InputError, match=r"replay\.ratio is not for(.|\n)*--backbone none learns pixels"):
        choose_settings(photos, {"replay.ratio": 0.3})


def pictures(side: int, channels: int, coloured: bool = False, count: int = 6) -> Task:
    """Return a task of arrays; of three channels that are all alike, unless ``coloured``."""
    values = np.random.default_rng(0).integers(0, 256, (count, 1, side, side), dtype=np.uint8)
    values = np.repeat(values, channels, axis=1)
    if coloured:
        values[-1, 2, -1, -1] ^= 1
    images = Images(values, np.arange(count) % 2)
    return Task("pictures", ("a", "b"), images, images)


@pytest.mark.parametrize(
    ("task", "shape"),
    [
        (pictures(28, 1), (28, 1)),
        (pictures(8, 1), (28, 1)),
        (pictures(29, 1), (32, 1)),
        (pictures(32, 3, coloured=True), (32, 3)),
        (pictures(28, 3), (28, 1)),
        (pictures(28, 3, coloured=True), (28, 3)),
        (pictures(50, 1), (32, 1)),
    ],
)
def test_the_first_task_decides_about_the_shape(task: Task, shape: tuple[int, int]) -> None:
    for backbone in (None, "none"):
        image = choose_settings(task, backbone=backbone).settings.image
        assert (image.size, image.channels) == shape


def test_a_shape_by_hand_decides() -> None:
    image = choose_settings(pictures(28, 1), {"image.channels": 3}).settings.image
    assert (image.size, image.channels) == (28, 3)
    image = choose_settings(pictures(28, 1), {"image.size": 16}).settings.image
    assert (image.size, image.channels) == (16, 1)
    image = choose_settings(pictures(28, 3, coloured=True), {"image.channels": 1, "image.size": 64}).settings.image
    assert (image.size, image.channels) == (64, 1)


def test_the_images_decide_unless_all_is_said() -> None:
    """Else they would be decoded to a shape that is not their scholar's."""
    assert decided_settings({}, "none") is None
    assert decided_settings({"image.size": 16}, "none") is None
    decided = decided_settings({"image.size": 16, "image.channels": 1}, "none")
    assert decided and decided.backbone is None
    assert decided_settings({"image.size": 16}, None) is None
    assert decided_settings({"backbone.views": 1}, None)


@pytest.mark.parametrize(("coloured", "channels"), [(False, 1), (True, 3)])
def test_grey_pictures_in_files_of_colour(tmp_path: Path, coloured: bool, channels: int) -> None:
    for number in range(12):
        picture = Image.new("RGB", (20, 24), (number * 9, number * 9, number * 9 + 90 * coloured))
        place = tmp_path / "ab"[number % 2]
        place.mkdir(exist_ok=True)
        picture.save(place / f"{number}.png")
    task = open_task(tmp_path, decode=False)
    assert task.train.pixels is None
    assert task.train.are_grey is not coloured
    image = choose_settings(task).settings.image
    assert (image.size, image.channels) == (28, channels)
