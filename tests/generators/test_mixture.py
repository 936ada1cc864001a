"""A mixture draws what its memories say, and from few photos what all memories say."""

from __future__ import annotations

import pytest
import torch
from short_training import FABRIC, seeded
from test_memories import clusters, digests, drawn

from scholars.errors import InputError
from scholars.generators import NO_TEACHER, Mixture
from scholars.generators.memories import Memory, fit_memory
from scholars.generators.mixture import PRIOR_PHOTOS

DEPTH = 6


def gaussian(mean: float, deviation: float, photos: int, direction: float = 0.0) -> Memory:
    """One Gaussian of three features: alike spreads, and a direction along the first one."""
    return Memory(
        torch.ones(1),
        torch.full((3,), mean).half(),
        torch.zeros(1, 1).half(),
        torch.tensor([direction]).half(),
        torch.tensor([[127, 0, 0]], dtype=torch.int8),
        torch.full((3,), deviation).half(),
        torch.tensor(photos),
    )


@pytest.fixture(scope="module")
def fitted() -> Mixture:
    """Memories of one and of two components, and of one photo."""
    labels = torch.tensor([0] * 60 + [1] * 200 + [2])
    x = torch.cat([drawn(60, DEPTH), clusters(200, 30, DEPTH), drawn(1, DEPTH, seed=9)])
    keys = torch.cat([digests(60), digests(200, 1), digests(1, 2)])
    return Mixture([fit_memory(x[labels == label], keys[labels == label], 8, rank=4) for label in range(3)])


def test_a_memory_for_each_label(fitted: Mixture) -> None:
    assert [int(memory.photos) for memory in fitted.memories] == [60, 200, 1]
    assert fitted.memories[1].digest == fit_memory(clusters(200, 30, DEPTH), digests(200, 1), 8, 4).digest


def test_earlier_memories_stay_as_they_were(fitted: Mixture) -> None:
    more = Mixture([*fitted.memories, fit_memory(drawn(40, DEPTH, seed=3), digests(40, 3), 8, 4)])
    assert [memory.digest for memory in more.memories[:3]] == [memory.digest for memory in fitted.memories]
    assert len(more.memories) == 4


def test_what_is_drawn_has_the_mean_and_the_covariance_of_the_memory() -> None:
    memory = fit_memory(clusters(400, 12, DEPTH), digests(400), 8, rank=4)
    mixture = Mixture([memory])
    x = seeded(mixture, torch.zeros(40_000, dtype=torch.int64)).double()
    mean, variance = memory.moments()
    assert torch.allclose(x.mean(0), mean.double(), atol=0.1)
    assert torch.allclose(x.var(0), variance.double(), rtol=0.05)


def test_what_is_drawn_varies_along_the_directions() -> None:
    """Covariance B^T diag(l^2) B + diag(s^2) by hand: 9 + 1 along (0.6, 0.8, 0)."""
    memory = Memory(
        torch.ones(1),
        torch.zeros(3).half(),
        torch.zeros(1, 1).half(),
        torch.tensor([3.0]).half(),
        torch.tensor([[60, 80, 0]], dtype=torch.int8),
        torch.ones(3).half(),
        torch.tensor(10_000),
    )
    x = seeded(Mixture([memory]), torch.zeros(60_000, dtype=torch.int64))
    expected = torch.tensor([[1 + 3.24, 4.32, 0], [4.32, 1 + 5.76, 0], [0, 0, 1.0]])
    assert torch.allclose(torch.cov(x.T), expected, atol=0.15)


def test_gaussians_are_drawn_by_their_weights_around_their_centres() -> None:
    memory = Memory(
        torch.tensor([0.25, 0.75]),
        torch.tensor([100.0, 7.0]).half(),
        torch.tensor([[-30.0], [10.0]]).half(),
        torch.tensor([1.0]).half(),
        torch.tensor([[127, 0]], dtype=torch.int8),
        torch.zeros(2).half(),
        torch.tensor(10_000),
    )
    x = seeded(Mixture([memory]), torch.zeros(20_000, dtype=torch.int64))
    assert set(x[:, 1].tolist()) == {7}
    low = x[:, 0] < 90
    assert float(low.float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float(x[low, 0].mean()) == pytest.approx(70, abs=0.1)
    assert float(x[~low, 0].mean()) == pytest.approx(110, abs=0.1)


@pytest.mark.parametrize("photos", [1, 2, 10, 1000])
def test_of_few_photos_the_spread_is_that_of_all(photos: int) -> None:
    """(1 - a) Sigma + a mean_j Sigma_j with a = v / (n + v)."""
    mixture = Mixture([gaussian(0, 1, photos, direction=2), gaussian(50, 3, 10_000)])
    x = seeded(mixture, torch.zeros(60_000, dtype=torch.int64))
    a = PRIOR_PHOTOS / (photos + PRIOR_PHOTOS)
    first, other = torch.tensor([5.0, 1, 1]), torch.tensor([9.0, 9, 9])
    expected = (1 - a) * first + a * (first + other) / 2
    assert torch.allclose(x.var(0), expected, rtol=0.04)
    assert torch.allclose(x.mean(0), torch.zeros(3), atol=0.06)


def test_what_is_drawn_does_not_depend_on_the_numbers_of_conditions(fitted: Mixture) -> None:
    order = [2, 0, 1]
    other = Mixture([fitted.memories[index] for index in order])
    conditions = torch.tensor([0, 0, 0, 1, 1, 2, 2, 0, 1, 1, 1])
    renamed = torch.tensor([order.index(index) for index in conditions.tolist()])
    assert torch.equal(seeded(fitted, conditions), seeded(other, renamed))
    assert not torch.equal(seeded(fitted, conditions), seeded(other, conditions))
    assert [other.ranks[order.index(index)] for index in range(3)] == list(fitted.ranks)


def test_equal_memories_are_drawn_from_alike() -> None:
    mixture = Mixture([gaussian(0, 1, 5), gaussian(0, 1, 5)])
    assert sorted(mixture.ranks) == [0, 1]
    assert torch.equal(seeded(mixture, torch.tensor([0, 0])), seeded(mixture, torch.tensor([1, 1])))


def test_it_is_fitted_not_trained(fitted: Mixture) -> None:
    with pytest.raises(TypeError, match="fitted, not trained"):
        fitted.trainee(FABRIC, NO_TEACHER)


def test_it_is_made_again_of_its_tensors(fitted: Mixture) -> None:
    again = Mixture.from_tensors(fitted.state_dict(), 3, DEPTH, "x")
    assert [memory.digest for memory in again.memories] == [memory.digest for memory in fitted.memories]
    conditions = torch.arange(3).repeat(5)
    assert torch.equal(seeded(again, conditions), seeded(fitted, conditions))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", float("nan")),
        ("centres", float("nan")),
        ("spread", float("inf")),
        ("spread", -1.0),
        ("deviations", float("nan")),
        ("deviations", -1.0),
        ("weights", float("nan")),
        ("weights", -0.5),
        ("weights", 7.0),
        ("photos", 0),
        ("photos", -3),
        ("photos", 2**62),
    ],
)
def test_hostile_numbers_are_refused(fitted: Mixture, name: str, value: float) -> None:
    tensors = {key: tensor.clone() for key, tensor in fitted.state_dict().items()}
    tensors[f"parts.1.{name}"].view(-1)[0] = value
    with pytest.raises(InputError, match="a/generator: memory 1 holds numbers that are not finite or out of range"):
        Mixture.from_tensors(tensors, 3, DEPTH, "a/generator")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mean", torch.zeros(DEPTH + 1).half()),
        ("mean", torch.zeros(1, DEPTH).half()),
        ("mean", torch.zeros(DEPTH)),
        ("centres", torch.zeros(0, 4).half()),
        ("centres", torch.zeros(2, 3).half()),
        ("centres", torch.zeros(()).half()),
        ("spread", torch.zeros(2, 4).half()),
        ("directions", torch.zeros(3, DEPTH, dtype=torch.int8)),
        ("directions", torch.zeros(4, DEPTH + 1, dtype=torch.int8)),
        ("directions", torch.zeros(4, DEPTH).half()),
        ("deviations", torch.zeros(1, DEPTH).half()),
        ("weights", torch.ones(3) / 3),
        ("weights", torch.ones(2, dtype=torch.float64) / 2),
        ("photos", torch.tensor([5])),
        ("photos", torch.tensor(5.0)),
        ("photos", None),
        ("surplus", torch.zeros(1)),
    ],
)
def test_hostile_shapes_are_refused(fitted: Mixture, name: str, wrong: torch.Tensor | None) -> None:
    tensors = dict(fitted.state_dict())
    tensors.pop(f"parts.1.{name}", None)
    if wrong is not None:
        tensors[f"parts.1.{name}"] = wrong
    with pytest.raises(InputError, match=r"do not fit the description, first at 'parts\.1\."):
        Mixture.from_tensors(tensors, 3, DEPTH, "x")


@pytest.mark.parametrize("conditions", [2, 4])
def test_another_number_of_memories_is_refused(fitted: Mixture, conditions: int) -> None:
    with pytest.raises(InputError, match="do not fit the description"):
        Mixture.from_tensors(fitted.state_dict(), conditions, DEPTH, "x")
