"""Out-of-distribution detection: images unlike anything learned are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scholars import Scholar, learn, ood
from scholars.errors import InputError
from scholars.ood import OODDetector
from scholars.settings import Settings
from scholars.settings.overrides import build
from scholars.tasks.task import Task


def clustered(count: int, toward: list[float], seed: int) -> torch.Tensor:
    """Features about one direction."""
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.tensor(toward) + 0.1 * torch.randn(count, len(toward), generator=generator)


SURE, UNSURE = torch.tensor([[9.0, 0.0]]), torch.tensor([[0.0, 0.0]])


def test_far_features_and_unsure_logits_are_unfamiliar() -> None:
    detector = OODDetector.fit(clustered(90, [1, 0, 0], 0), SURE + 0.1 * torch.randn(90, 2), share=0.05)
    near, far = clustered(50, [1, 0, 0], 1), clustered(50, [0, 1, 0], 1)
    sure, unsure = SURE.expand(50, 2), UNSURE.expand(50, 2)
    assert detector.unfamiliar(near, sure).float().mean() < 0.2
    assert detector.unfamiliar(far, sure).all()
    assert detector.unfamiliar(near, unsure).all()
    # Only the direction of features counts.
    assert torch.allclose(detector.score(7 * near, sure), detector.score(near, sure), atol=1e-3)


def test_the_share_of_dreams_that_would_be_unfamiliar_themselves() -> None:
    generator = torch.Generator().manual_seed(0)
    features, logits = torch.randn(3000, 8, generator=generator), torch.randn(3000, 4, generator=generator)
    detector = OODDetector.fit(features, logits, share=0.1)
    assert detector.dreams.shape == (2000, 8)
    assert detector.unfamiliar(features[2000:], logits[2000:]).float().mean() == pytest.approx(0.1, abs=0.002)


def test_the_scores_by_hand() -> None:
    """Five dreams on the axes: the fifth nearest of e1 is -e1 at distance 2; logits (0, ln 3) have energy -ln 4."""
    dreams = torch.tensor([[1.0, 0], [0, 1], [0, -1], [0.6, 0.8], [-1, 0]]).half()
    detector = OODDetector(dreams, torch.tensor([1.0, 0.0]), torch.tensor([0.5, 2.0]), torch.tensor(0.0))
    logits = torch.tensor([[0.0, np.log(3)]], dtype=torch.float32)
    found = detector.score(torch.tensor([[5.0, 0.0]]), logits)
    assert found.item() == pytest.approx((2 - 1) / 0.5 - np.log(4) / 2, abs=1e-3)


def test_distances_are_the_same_however_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    features, logits = torch.randn(50, 8), torch.randn(50, 4)
    detector = OODDetector.fit(features, logits, share=0.1)
    whole = detector.score(features, logits)
    monkeypatch.setattr(ood, "_ROWS", 7)
    assert torch.allclose(detector.score(features, logits), whole, atol=1e-5)


def test_dreams_that_are_all_alike_divide_by_nothing() -> None:
    detector = OODDetector.fit(torch.ones(60, 4), torch.zeros(60, 2), share=0.05)
    assert torch.isfinite(detector.score(torch.randn(3, 4), torch.zeros(3, 2))).all()


def test_a_scholar_keeps_its_detector_on_disk(two: Scholar, low: Task, tmp_path: Path) -> None:
    images = np.concatenate(
        [low.resized(1, 16).test.images, np.random.default_rng(0).integers(0, 256, (50, 1, 16, 16))]
    )
    images = images.astype(np.uint8)
    two.save(tmp_path / "two")
    found = Scholar.load(tmp_path / "two").unfamiliar(images)
    assert (found == two.unfamiliar(images)).all()
    assert two.unfamiliar(two.dream(60)[0]).mean() < 0.5


def test_a_scholar_without_it_says_so(low: Task, tiny: Settings, tmp_path: Path) -> None:
    none = build(Settings, tiny.model_dump(mode="json"), {"ood.dreams": 0, "solver.steps": 2}, where="test")
    scholar = learn(low, settings=none)
    scholar.save(tmp_path / "s")
    assert not (tmp_path / "s" / "ood.safetensors").exists()
    with pytest.raises(InputError, match=r"ood\.dreams=0"):
        Scholar.load(tmp_path / "s").unfamiliar(low.test.images)
    with pytest.raises(InputError, match=r"ood\.dreams=29 is too few"):
        build(Settings, {}, {"ood.dreams": 29}, where="test")


def test_tensors_that_do_not_fit_are_refused(two: Scholar) -> None:
    assert two.ood is not None
    tensors = two.ood.tensors()
    depth = tensors["dreams"].shape[1]
    for name, odd in (
        ("dreams", tensors["dreams"][:, 1:]),
        ("dreams", tensors["dreams"][:4]),
        ("mean", torch.zeros(3)),
        ("x", torch.zeros(1)),
    ):
        with pytest.raises(InputError, match=f"here: the tensors do not fit .*'{name}'"):
            OODDetector.from_tensors({**tensors, name: odd}, depth, "here")
