"""The estimate grows with what there is to do, and does not touch what is random."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

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
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time stands still: every measured piece of work takes one second for each step that it takes."""
    taken: list[float] = []

    def timed(work: Callable[[], object]) -> float:
        work()
        steps = work.args[1] if isinstance(work, partial) else 1
        taken.append(float(steps))
        return float(steps)

    monkeypatch.setattr(estimate, "_timed", timed)
    return taken


def test_of_pixels_the_steps_of_both_networks_count(low: Task, clock: list[float]) -> None:
    changes: dict[str, object] = {"image.size": 16, "image.channels": 1, "solver.width": 4, "solver.steps": 100}
    changes |= {"generator.kind": "vae", "generator.net": "mlp", "generator.width": 16, "generator.steps": 40}
    settings = build(Settings, {}, changes, where="tests")
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert estimate.estimate_seconds(low, 5, settings, None) == pytest.approx(140)
    assert torch.equal(torch.rand(1), expected)
    assert len(clock) == 4


def test_of_features_every_view_counts(clock: list[float]) -> None:
    settings = quick(solver__steps=60)
    assert settings.backbone
    settings, backbone = resolve_backbone(None, settings, open_backbone(settings.backbone, settings.compute))
    few, many = arrays(("disc", "box"), 4), arrays(("disc", "box"), 16)
    found = [estimate.estimate_seconds(task, 2, settings, backbone) for task in (few, many)]
    # A second for each eight training photos, or for half as many test photos: those are seen in one view, not two.
    assert found == pytest.approx([60 + (8 + 4 / 2) / 8, 60 + (32 + 4 / 2) / 32])
    assert len(clock) == 6
