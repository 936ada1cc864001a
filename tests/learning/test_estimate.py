"""The estimate grows with what there is to do, and does not touch what is random."""

from __future__ import annotations

import itertools

import pytest
import torch
from photographs import arrays, quick

from scholars.backbones import open_backbone
from scholars.learning import estimate
from scholars.learning.looking import resolve_backbone
from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.tasks.task import Task


@pytest.fixture
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a second pass whenever somebody asks for the time: each step takes one, and each look."""
    seconds = itertools.count()
    monkeypatch.setattr(estimate, "_now", lambda: float(next(seconds)))


@pytest.mark.usefixtures("_clock")
def test_of_pixels_the_steps_of_both_networks_count(low: Task) -> None:
    changes: dict[str, object] = {"image.size": 16, "image.channels": 1, "solver.width": 4, "solver.steps": 100}
    changes |= {"generator.kind": "vae", "generator.net": "mlp", "generator.width": 16, "generator.steps": 40}
    settings = build(Settings, {}, changes, where="tests")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert estimate.estimate_seconds(low, 5, settings, None) == pytest.approx(4 + 140)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.usefixtures("_clock")
def test_of_features_every_view_counts() -> None:
    settings = quick(solver__steps=60)
    assert settings.backbone
    settings, backbone = resolve_backbone(None, settings, open_backbone(settings.backbone, settings.compute))
    few, many = arrays(("disc", "box"), 4), arrays(("disc", "box"), 16)
    found = [estimate.estimate_seconds(task, 2, settings, backbone) for task in (few, many)]
    # A second for each eight training photos, or for half as many test photos: those are seen in one view, not two.
    assert found == pytest.approx([4 + 60 + (8 + 4 / 2) / 8, 4 + 60 + (32 + 4 / 2) / 32])


@pytest.mark.parametrize("solver", ["head", "lda"])
def test_more_classes_than_examples(solver: str) -> None:
    """Every class has an example; of a solver in closed form there are no steps."""
    settings = quick(solver)
    assert settings.backbone
    settings, backbone = resolve_backbone(None, settings, open_backbone(settings.backbone, settings.compute))
    assert estimate.estimate_seconds(arrays(("disc", "box"), 4), 300, settings, backbone) > 4
