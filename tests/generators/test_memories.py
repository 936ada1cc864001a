"""Memories: mixtures of low-rank Gaussians, compared with what can be computed otherwise."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from scholars.generators import memories
from scholars.generators.memories import Memory, TiedMixture, fit_memory, join_memories
from scholars.settings import MixtureSettings


def drawn(count: int, depth: int, seed: int = 0, views: int = 1) -> torch.Tensor:
    """Features of an uneven spread, ``[N, V, D]`` float16."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(2, 0.2, depth)
    return (1 + spread * torch.randn(count, views, depth, generator=generator)).half()


def digests(count: int, seed: int = 0) -> torch.Tensor:
    """Digests as of photos, in their order."""
    made = sorted(hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(count))
    return torch.from_numpy(np.frombuffer(b"".join(made), np.uint8).reshape(-1, 32).copy())


def covariance(memory: Memory) -> torch.Tensor:
    along = memory.basis.double() * memory.spread.double()[:, None]
    return along.T @ along + memory.deviations.double().square().diag()


def means(memory: Memory) -> torch.Tensor:
    return memory.mean.float() + memory.centres.float() @ memory.basis


def test_one_gaussian_of_all_directions_is_the_covariance_itself() -> None:
    x = drawn(50, 5)
    memory = fit_memory(x, digests(50), 1, rank=5)
    flat = x[:, 0].double()
    centred = flat - flat.mean(0)
    assert memory.weights.tolist() == [1]
    assert torch.allclose(means(memory)[0].double(), flat.mean(0), atol=2e-3)
    assert torch.allclose(covariance(memory), centred.T @ centred / 50, atol=2e-2)
    assert int(memory.photos) == 50


def test_of_fewer_directions_the_variance_of_each_feature_is_right_and_the_leading_ones_are_kept() -> None:
    x = drawn(200, 8)
    x[:, 0, 1] = x[:, 0, 0] * 0.5
    memory = fit_memory(x, digests(200), 1, rank=4)
    assert memory.directions.shape == (4, 8)
    flat = x[:, 0].double()
    assert torch.allclose(covariance(memory).diagonal(), flat.var(0, correction=0), rtol=2e-2)
    values, vectors = torch.linalg.eigh(torch.cov(flat.T, correction=0))
    assert torch.allclose(memory.spread.double().sort(descending=True).values, values.flip(0)[:4].sqrt(), rtol=1e-2)
    leading = memory.basis[int(memory.spread.argmax())].double()
    assert abs(float(leading @ vectors[:, -1])) == pytest.approx(1, abs=1e-3)


def test_two_photos_by_hand() -> None:
    """(0, 0) and (4, 2): mean (2, 1), covariance [[4, 2], [2, 1]] = 5 u u^T with u = (2, 1) / sqrt 5."""
    x = torch.tensor([[[0.0, 0.0]], [[4.0, 2.0]]]).half()
    memory = fit_memory(x, digests(2), 8, rank=64)
    assert means(memory).tolist() == [[2, 1]]
    assert torch.allclose(covariance(memory), torch.tensor([[4.0, 2.0], [2.0, 1.0]]).double(), atol=2e-2)
    assert float(memory.spread) == pytest.approx(5**0.5, rel=1e-3)
    assert memory.directions.abs().tolist() == [[127, 64]]
    assert memory.deviations.max() < 0.02


def test_one_photo() -> None:
    x = drawn(1, 6)
    memory = fit_memory(x, digests(1), 8, rank=64)
    assert torch.equal(memory.mean, x[0, 0])
    assert memory.centres.shape == (1, 0)
    assert memory.directions.shape == (0, 6)
    assert memory.deviations.tolist() == [0] * 6
    assert int(memory.photos) == 1


def test_views_of_one_photo_have_a_spread_and_count_as_one() -> None:
    x = drawn(1, 6, views=4)
    memory = fit_memory(x, digests(1), 8, rank=64)
    assert memory.directions.shape == (3, 6)
    assert int(memory.photos) == 1
    assert torch.allclose(covariance(memory).diagonal(), x[0].double().var(0, correction=0), atol=3e-2)


@pytest.mark.parametrize(("photos", "views", "directions"), [(5, 1, 4), (5, 4, 16), (20, 4, 20), (60, 4, 30)])
def test_no_more_directions_than_photos_beyond_the_least(photos: int, views: int, directions: int) -> None:
    assert len(fit_memory(drawn(photos, 70, views=views), digests(photos), 8, 30).directions) == directions


@pytest.mark.parametrize("rank", [0, 3])
def test_constant_features(rank: int) -> None:
    memory = fit_memory(torch.full((100, 2, 7), 0.5).half(), digests(100), 8, rank)
    assert all(bool(value.isfinite().all()) for value in memory)
    assert memory.mean.tolist() == [0.5] * 7
    assert torch.equal(means(memory), torch.full_like(means(memory), 0.5))
    assert float(covariance(memory).abs().sum()) == pytest.approx(0, abs=1e-6)


def test_no_directions() -> None:
    x = drawn(90, 3)
    memory = fit_memory(x, digests(90), 8, rank=0)
    assert memory.directions.shape == (0, 3)
    assert len(memory.weights) == 1
    assert torch.allclose(memory.deviations.double().square(), x[:, 0].double().var(0, correction=0), rtol=1e-2)


@pytest.mark.parametrize(("count", "depth"), [(30, 300), (300, 40), (400, 250)], ids=["few", "flat", "both large"])
def test_each_way_of_decomposing_finds_the_leading_directions(count: int, depth: int) -> None:
    """By the smaller matrix of inner products, or at random where both are large; compared with the exact one."""
    x, rank = drawn(count, depth)[:, 0].float(), 5
    x[:, 0] *= 8
    rows = x - x.mean(0)
    directions = memories._principal_directions(rows, rank, seed=1)
    _, lengths, vectors = torch.linalg.svd(rows.double(), full_matrices=False)
    assert torch.allclose((rows @ directions.T).norm(dim=0).double(), lengths[:rank], rtol=2e-2)
    assert torch.allclose(directions @ directions.T, torch.eye(rank), atol=1e-3)
    assert abs(float(directions[0].double() @ vectors[0])) == pytest.approx(1, abs=1e-3)


def test_no_directions_along_which_nothing_varies() -> None:
    """Ten rows in two dimensions of five, at a large distance from zero."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(10, 2, generator=generator) @ torch.randn(2, 5, generator=generator)
    assert memories._principal_directions(rows - rows.mean(0), 4, seed=1).shape == (2, 5)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31), parts=st.integers(1, 3))
def test_log_joint_is_that_of_torch(seed: int, parts: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(parts, generator=generator) + 0.1
    factor = torch.randn(5, 5, generator=generator)
    fitted = TiedMixture(weights / weights.sum(), torch.randn(parts, 5, generator=generator), factor @ factor.T)
    vectors, floor = torch.randn(11, 5, generator=generator), torch.tensor(0.05)
    found = fitted.log_joint(vectors, floor)
    for k in range(parts):
        gaussian: Any = MultivariateNormal(fitted.means[k], fitted.covariance + floor * torch.eye(5))
        assert torch.allclose(found[:, k], gaussian.log_prob(vectors) + fitted.weights[k].log(), rtol=1e-2, atol=1e-2)


def test_gaussians_are_fitted_to_their_shares_of_each_vector() -> None:
    """0, 1 and 6, of which the middle one is shared: means 1/3 and 13/3, variance 37/3 less that of the means."""
    shares = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    found = TiedMixture.of(torch.tensor([[0.0], [1.0], [6.0]]), shares)
    assert found.weights.tolist() == [0.5, 0.5]
    assert torch.allclose(found.means, torch.tensor([[1 / 3], [13 / 3]]))
    assert float(found.covariance) == pytest.approx(37 / 3 - ((1 / 3) ** 2 + (13 / 3) ** 2) / 2)


def clusters(count: int, apart: float, depth: int = 6) -> torch.Tensor:
    x = drawn(count, depth).float()
    x[::2, :, -1] += apart
    return x.half()


def test_as_many_components_as_fit_left_out_photos_best() -> None:
    one = fit_memory(clusters(200, 0), digests(200), 8, rank=4)
    two = fit_memory(clusters(200, 30), digests(200), 8, rank=4)
    assert len(one.weights) == 1
    assert len(two.weights) >= 2
    assert float(two.weights.sum()) == pytest.approx(1, abs=1e-5)
    # Each cluster has Gaussians of its own: none has its mean between them.
    assert all(abs(mean - 1) < 3 or abs(mean - 31) < 3 for mean in means(two)[:, -1].tolist())
    # The spread is that within clusters.
    assert float(covariance(two)[-1, -1]) < 1


def test_few_photos_have_one_component_and_no_more_than_are_allowed() -> None:
    assert len(fit_memory(clusters(35, 30), digests(35), 8, rank=4).weights) == 1
    assert len(fit_memory(clusters(200, 30), digests(200), 1, rank=4).weights) == 1
    assert len(fit_memory(clusters(400, 30), digests(400), 3, rank=4).weights) == 2


def test_copies_of_photos_do_not_make_components() -> None:
    """Forty copies of five photos are five photos."""
    few = digests(5).repeat_interleave(40, 0)
    memory = fit_memory(clusters(5, 30).repeat_interleave(40, 0), few, 8, rank=4)
    assert len(memory.weights) == 1
    assert int(memory.photos) == 200


@settings(max_examples=15)
@given(count=st.integers(1, 120), views=st.integers(1, 3), depth=st.integers(1, 12), rank=st.integers(0, 20))
def test_any_number_of_photos(count: int, views: int, depth: int, rank: int) -> None:
    x = drawn(count, depth, seed=count, views=views)
    memory = fit_memory(x, digests(count), 8, rank)
    k, q = memory.centres.shape
    assert all(bool(value.isfinite().all()) for value in memory)
    assert memory.weights.shape == (k,)
    assert memory.mean.shape == memory.deviations.shape == (depth,)
    assert memory.directions.shape == (q, depth)
    assert memory.spread.shape == (q,)
    assert q <= min(rank, depth)
    assert bool((memory.deviations >= 0).all()) and bool((memory.spread >= 0).all())
    assert float(memory.weights.sum()) == pytest.approx(1, abs=1e-4)
    mean, variance = memory.moments()
    flat = x.reshape(-1, depth).double()
    scale = float(flat.abs().max())
    assert torch.allclose(mean.double(), flat.mean(0), atol=1e-2 * scale)
    assert torch.allclose(variance.double(), flat.var(0, correction=0), rtol=0.1, atol=2e-2 * scale)


def test_moments_of_a_mixture_by_hand() -> None:
    """Half at 0, half at 2, each of variance 1 in the first feature and 4 in the second: mean 1, variances 2 and 4."""
    memory = Memory(
        torch.tensor([0.5, 0.5]),
        torch.tensor([1.0, 5.0]).half(),
        torch.tensor([[-1.0], [1.0]]).half(),
        torch.tensor([1.0]).half(),
        torch.tensor([[90, 0]], dtype=torch.int8),
        torch.tensor([0.0, 2.0]).half(),
        torch.tensor(9),
    )
    mean, variance = memory.moments()
    assert mean.tolist() == [1, 5]
    assert variance.tolist() == [2, 4]


def test_the_same_photos_make_the_same_memory_whatever_was_drawn_before() -> None:
    x, names = clusters(200, 30), digests(200)
    torch.manual_seed(1)
    one = fit_memory(x, names, 8, rank=4)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    other = fit_memory(x, names, 8, rank=4)
    assert one.digest == other.digest
    assert torch.equal(torch.random.get_rng_state(), before)
    assert fit_memory(clusters(200, 31), names, 8, rank=4).digest != one.digest


def test_the_digest_is_of_every_tensor() -> None:
    memory = fit_memory(clusters(200, 30), digests(200), 8, rank=4)
    for name in Memory._fields:
        value = getattr(memory, name).clone()
        value.view(-1)[0] -= 1
        assert memory._replace(**{name: value}).digest != memory.digest, name


def test_a_memory_of_1280_features_takes_less_than_200_kilobytes() -> None:
    """At the default settings, with one component and with eight."""
    chosen = MixtureSettings()
    x = drawn(400, 1280, views=2)
    one = fit_memory(x, digests(400), chosen.components, chosen.rank)
    x += (torch.arange(400) % 8)[:, None, None] * 40
    many = fit_memory(x, digests(400), chosen.components, chosen.rank)
    assert len(many.weights) == 8
    for memory in (one, many):
        assert memory.nbytes == sum(value.element_size() * value.numel() for value in memory)
        assert 100_000 < memory.nbytes <= 200_000


def by_hand(weights: list[float], mean: list[float], centres: list[list[float]], photos: int) -> Memory:
    """A memory in three dimensions, along the first of which Gaussians lie; noise of variance 1/4, 1 and 4."""
    return Memory(
        torch.tensor(weights),
        torch.tensor(mean).half(),
        torch.tensor(centres).half(),
        torch.tensor([1.0]).half(),
        torch.tensor([[127, 0, 0]], dtype=torch.int8),
        torch.tensor([0.5, 1.0, 2.0]).half(),
        torch.tensor(photos),
    )


def pooled(parts: list[Memory]) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and the variances of photos of all memories together."""
    counts = torch.tensor([float(part.photos) for part in parts])
    shares = (counts / counts.sum())[:, None]
    found = [part.moments() for part in parts]
    mean = (shares * torch.stack([own for own, _ in found])).sum(0)
    square = (shares * torch.stack([variance + own.square() for own, variance in found])).sum(0)
    return mean, square - mean.square()


def test_a_memory_joined_with_nothing_is_itself() -> None:
    alone = by_hand([1.0], [1.0, 2, 3], [[0.0]], 7)
    assert join_memories([alone]) is alone


def test_two_memories_become_one_by_hand() -> None:
    """Three photos about (0, 0, 0), one about (4, 0, 0).

    The mean is (1, 0, 0), the variance along the first direction 1 + 1/4 within and 3 between, of the others as it was.
    """
    joined = join_memories([by_hand([1.0], [0.0, 0, 0], [[0.0]], 3), by_hand([1.0], [4.0, 0, 0], [[0.0]], 1)])
    assert joined.weights.tolist() == [0.75, 0.25]
    assert int(joined.photos) == 4
    mean, variance = joined.moments()
    assert torch.allclose(mean, torch.tensor([1.0, 0, 0]), atol=2e-3)
    assert torch.allclose(variance, torch.tensor([4.25, 1, 4]), rtol=5e-3)
    assert torch.allclose(means(joined), torch.tensor([[0.0, 0, 0], [4, 0, 0]]), atol=5e-3)
    assert torch.allclose(covariance(joined).diagonal(), torch.tensor([1.25, 1, 4]).double(), rtol=5e-3)


def test_all_gaussians_of_joined_memories_stay() -> None:
    parts = [
        by_hand([0.5, 0.5], [0.0, 5, 0], [[-1.0], [1.0]], 4),
        by_hand([0.25, 0.75], [9.0, 5, 0], [[0.0], [2.0]], 4),
    ]
    joined = join_memories(parts)
    assert joined.weights.tolist() == [0.25, 0.25, 0.125, 0.375]
    assert torch.allclose(means(joined)[:, 0], torch.tensor([-1.0, 1, 9, 11]), atol=1e-2)
    for found, wanted in zip(joined.moments(), pooled(parts), strict=True):
        assert torch.allclose(found, wanted, rtol=1e-2, atol=1e-2)


@settings(max_examples=25)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=4),
    depth=st.integers(1, 12),
    rank=st.integers(0, 14),
    apart=st.floats(0, 20),
)
def test_moments_of_joined_memories_are_those_of_all_photos(
    counts: list[int], depth: int, rank: int, apart: float
) -> None:
    parts = []
    for place, count in enumerate(counts):
        x = drawn(count, depth, seed=place).float()
        x[:, :, place % depth] += apart * place
        parts.append(fit_memory(x.half(), digests(count, place), 8, rank))
    joined = join_memories(parts)
    assert int(joined.photos) == sum(counts)
    assert float(joined.weights.sum()) == pytest.approx(1, abs=1e-4)
    assert len(joined.spread) <= max(len(part.spread) for part in parts)
    assert all(bool(value.isfinite().all()) for value in joined)
    mean, variance = joined.moments()
    wanted_mean, wanted_variance = pooled(parts)
    scale = float(wanted_variance.max().sqrt() + wanted_mean.abs().max())
    assert torch.allclose(mean, wanted_mean, atol=1e-2 * scale)
    assert torch.allclose(variance, wanted_variance, rtol=0.1, atol=2e-2 * scale)


def test_in_whichever_order_memories_are_joined_dreams_are_of_the_same_spread() -> None:
    parts = [fit_memory(drawn(count, 6, seed=count), digests(count, count), 4, 3) for count in (20, 30)]
    for a, b in zip(join_memories(parts).moments(), join_memories(parts[::-1]).moments(), strict=True):
        assert torch.allclose(a, b, rtol=2e-2, atol=1e-2)
