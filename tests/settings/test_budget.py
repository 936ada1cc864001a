"""What a budget means for photographs: how often each is looked at, and how long a head is trained."""

from __future__ import annotations

import pytest

from scholars.errors import InputError
from scholars.learning.heads import head_steps
from scholars.settings import BackboneSettings, HeadSettings, Settings
from scholars.settings.overrides import build


@pytest.mark.parametrize(
    ("budget", "views"), [("small", 0), ("normal", 3), ("large", 11), (1.0, 3), (0.5, 1), (0.001, 0), (2, 7)]
)
def test_views_by_budget(budget: str | float, views: int) -> None:
    assert build(Settings, {}, {"backbone.size": 64, "budget": budget}, "tests").views == views


@pytest.mark.parametrize("budget", ["small", "large", 0.5])
def test_views_that_are_set_stay(budget: str | float) -> None:
    for views in (0, 5):
        assert build(Settings, {}, {"backbone.views": views, "budget": budget}, "tests").views == views


def test_pixels_have_no_views() -> None:
    with pytest.raises(TypeError, match="only a backbone"):
        _ = Settings().views


def test_steps_of_a_head_by_budget() -> None:
    """Least steps, ten for each class, one for each five photos; 600 at most, and then the budget."""
    assert head_steps(HeadSettings(), 1.0, 500, 4) == 200 + 40 + 100
    assert head_steps(HeadSettings(), 1.0, 10**6, 4) == 600
    small, large = Settings(budget="small").scale, Settings(budget="large").scale
    assert head_steps(HeadSettings(), small, 500, 4) == 340 / 4
    assert head_steps(HeadSettings(), large, 10**6, 4) == 1800
    assert head_steps(HeadSettings(), 0.001, 10, 2) == 1
    assert head_steps(HeadSettings(steps=7), large, 500, 4) == 7


def test_a_budget_is_a_word_or_a_number() -> None:
    """What is said is of what was given: one line, of words or of numbers."""
    with pytest.raises(InputError) as refused:
        build(Settings, {}, {"budget": "enormous"}, "settings")
    said = str(refused.value)
    assert said == "settings: budget: input should be 'small', 'normal' or 'large', or a number, got 'enormous'"
    for budget in (-1, 0, 1e9, float("nan"), float("inf")):
        with pytest.raises(InputError) as refused:
            build(Settings, {}, {"budget": budget}, "settings")
        assert str(refused.value).startswith("settings: budget: input should be ")
        assert "\n" not in str(refused.value)
        assert "small" not in str(refused.value)


def test_each_of_several_problems_is_told() -> None:
    changes = {"budget": "some", "replay.bank": "x", "replay.labels": "y", "replay.ratio": 3}
    with pytest.raises(InputError) as refused:
        build(Settings, {}, changes, "settings")
    lines = str(refused.value).removeprefix("settings: ").splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == [
        "budget",
        "replay.bank",
        "replay.labels",
        "replay.ratio",
    ]


def test_the_budget_for_people() -> None:
    assert Settings().described_budget == "normal"
    assert Settings(budget=0.3).described_budget == "0.3 of normal"
    assert Settings(budget=0.3, minutes=1).described_budget == "0.3 of normal, for 1 minute"
    assert Settings(backbone=BackboneSettings(), budget=2, minutes=2.5).described_budget == (
        "2 of normal, for 2.5 minutes"
    )
