"""The estimate grows with what there is to do, and does not touch what is random."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from photographs import arrays, quick

from scholars.backbones import open_backbone
from scholars.learning import estimate
from scholars.learning.arguments import LearnArgs
from scholars.learning.estimate import Estimate
from scholars.learning.looking import resolve_backbone
from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.tasks.task import Task


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a second pass whenever somebody asks for the time: each step takes one, and so does each look."""
    seconds = itertools.count()
    monkeypatch.setattr(estimate, "_now", lambda: float(next(seconds)))


def pixels(**changes: object) -> Settings:
    fixed: dict[str, object] = {"image.size": 16, "image.channels": 1, "solver.width": 4, "audit.dreams": 0}
    fixed |= {"generator.kind": "vae", "generator.net": "mlp", "generator.width": 16, "ood.dreams": 0}
    return build(Settings, {}, fixed | {key.replace("__", "."): value for key, value in changes.items()}, where="tests")


@pytest.mark.usefixtures("_clock")
def test_steps_that_are_set_are_taken_whatever_the_budget(low: Task) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    args = LearnArgs(low, None, "dreams", pixels(solver__steps=100, generator__steps=40), 0)
    found = estimate.estimate(args, None)
    assert torch.equal(torch.rand(1), expected)
    # A step of the solver takes a second, and a test image a third of what an image of a step does.
    assert found.fixed == pytest.approx(3 + 140 + len(low.test) / 64 / 3)
    assert found.scaled == 0


@pytest.mark.usefixtures("_clock")
def test_steps_by_the_rule_grow_with_the_budget(low: Task) -> None:
    args = LearnArgs(low, None, "dreams", pixels(generator__steps=40), 0)
    found = estimate.estimate(args, None)
    assert found.scaled == round(9 * len(low.train) ** 0.5)
    assert found.seconds(3) - found.seconds(1) == pytest.approx(2 * found.scaled)


@pytest.mark.usefixtures("_clock")
def test_of_features_every_view_counts() -> None:
    settings = quick(solver__steps=60)
    assert settings.backbone
    settings, backbone = resolve_backbone(None, settings, open_backbone(settings.backbone, settings.compute))
    few, many = (
        estimate.estimate(LearnArgs(arrays(("disc", "box"), count), None, "dreams", settings, 0), backbone)
        for count in (4, 16)
    )
    # A second for eight training photos in their plain view and one more; four test photos in the plain one.
    assert few.fixed == pytest.approx(3 + 60 + (8 * 2 + 4) / 16)
    assert many.fixed == pytest.approx(3 + 60 + (32 * 2 + 4) / 64)


@pytest.mark.parametrize("solver", ["head", "lda"])
def test_more_classes_than_examples(solver: str) -> None:
    """Every class has an example; of a solver in closed form there are no steps."""
    settings = quick(solver)
    assert settings.backbone
    settings, backbone = resolve_backbone(None, settings, open_backbone(settings.backbone, settings.compute))
    few = arrays(("disc", "box"), 4)
    many = replace(few, classes=(*few.classes, *map(str, range(298))))
    assert estimate.estimate(LearnArgs(many, None, "dreams", settings, 0), backbone).seconds(1) > 3


def test_the_budget_for_a_time() -> None:
    assert Estimate(10, 40).scale(90) == 2
    assert Estimate(10, 40).scale(5) < 0
    assert (Estimate(1, 2) + Estimate(3, 4)).times(2) == Estimate(8, 12)
