"""Memories from noisy statistics, of vectors drawn from known Gaussians."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scholars.generators import Mixture
from scholars.privacy.directions import Directions
from scholars.privacy.mechanism import Statistics, Whole, release_statistics
from scholars.privacy.memories import estimate, hidden_classes, private_memories

D, Q, K = 24, 8, 3
SCALE = torch.linspace(2, 0.5, Q, dtype=torch.float64)


def known() -> tuple[Directions, torch.Tensor]:
    """Return directions, and the mean of each class, which differ along them."""
    generator = torch.Generator().manual_seed(1)
    basis = torch.linalg.qr(torch.randn(D, D, dtype=torch.float64, generator=generator)).Q.T[:Q].contiguous()
    means = 5 + 2 * (torch.randn(K, Q, dtype=torch.float64, generator=generator) * SCALE) @ basis
    return Directions(basis, SCALE, 60.0), means


def statistics(photos: int, multiplier: float, seed: int = 0) -> Statistics:
    directions, means = known()
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(K).repeat_interleave(photos)
    vectors = means[labels] + (torch.randn(len(labels), Q, dtype=torch.float64, generator=generator) * SCALE) @ (
        directions.basis
    )
    rng = np.random.default_rng(seed)

    def add(values: Whole, deviation: float) -> Whole:
        noise = rng.normal(scale=deviation, size=len(values))
        return values + np.rint(noise).astype(np.int64)

    return release_statistics(vectors.float(), labels, K, directions, multiplier, add)


def test_dreams_are_of_the_classes_that_were_learned() -> None:
    directions, means = known()
    memories = private_memories(statistics(2000, 0.5), directions, 0.5)
    assert [int(memory.photos) for memory in memories] == pytest.approx([2000] * K, abs=20)
    torch.manual_seed(0)
    drawn = Mixture(memories).sample(torch.arange(K).repeat_interleave(2000)).double().reshape(K, 2000, D)
    distance = (drawn.mean(1) - means).norm(dim=1)
    apart = torch.cdist(means, means) + 1e9 * torch.eye(K)
    assert bool((distance < 0.15 * apart.amin(1)).all())
    spread = (drawn - drawn.mean(1, keepdim=True)) @ directions.basis.T
    assert spread.std(dim=1).mean(0).tolist() == pytest.approx(SCALE.tolist(), rel=0.35)


def test_the_less_is_known_of_a_mean_the_nearer_it_is_to_the_others() -> None:
    """What noise hides, dreams do not claim to know."""
    lengths = []
    for multiplier in (0.1, 20.0, 200.0):
        means, posterior, within = estimate(statistics(200, multiplier), multiplier)
        lengths.append(float(means.norm(dim=1).mean()))
        assert bool((torch.linalg.eigvalsh(within) > 0).all())
        assert bool((torch.linalg.eigvalsh(posterior) > -1e-9).all())
    assert lengths[0] > lengths[1] > lengths[2]


def test_few_photos_are_said_to_be_too_few() -> None:
    names = ["a", "b", "c"]
    assert hidden_classes(statistics(2000, 0.5), 0.5, names) == []
    assert hidden_classes(statistics(3, 50.0), 50.0, names) == names
