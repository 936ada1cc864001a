"""Whether a new scholar has a backbone."""

from __future__ import annotations

import pytest
from photographs import photo_task

from scholars.errors import InputError
from scholars.learning.looking import choose_settings
from scholars.tasks.digits import read_digits
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
