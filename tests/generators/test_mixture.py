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
from scholars.settings import MixtureSettings

DEPTH = 6


def gaussian(mean: float, deviation: float, photos: int, direction: float = 0.0) -> Memory:
    """One component of three features: alike spreads, and a direction along the first one."""
    return Memory(
        torch.ones(1),
        torch.full((1, 3), mean).half(),
        torch.tensor([[[direction, 0.0, 0.0]]]).half(),
        torch.full((1, 3), deviation).half(),
        torch.tensor(photos),
    )


@pytest.fixture(scope="module")
def fitted() -> Mixture:
    """Memories of one and of two components, and of one photo."""
    labels = torch.tensor([0] * 60 + [1] * 200 + [2])
    x = torch.cat([drawn(60, DEPTH), clusters(200, 30, DEPTH), drawn(1, DEPTH, seed=9)])
    return Mixture.of(
        None, x, labels, torch.cat([digests(60), digests(200, 1), digests(1, 2)]), MixtureSettings(rank=4)
    )


def test_a_memory_for_each_label(fitted: Mixture) -> None:
    assert [int(memory.photos) for memory in fitted.memories] == [60, 200, 1]
    assert fitted.memories[1].digest == fit_memory(clusters(200, 30, DEPTH), digests(200, 1), 8, 4).digest


def test_earlier_memories_stay_as_they_were(fitted: Mixture) -> None:
    x = drawn(40, DEPTH, seed=3)
    more = Mixture.of(fitted, x, torch.arange(40) % 2, digests(40, 3), MixtureSettings())
    assert [memory.digest for memory in more.memories[:3]] == [memory.digest for memory in fitted.memories]
    assert len(more.memories) == 5


def test_what_is_drawn_has_the_mean_and_the_covariance_of_the_memory() -> None:
    memory = fit_memory(clusters(400, 12, DEPTH), digests(400), 8, rank=4)
    mixture = Mixture([memory])
    x = seeded(mixture, torch.zeros(40_000, dtype=torch.int64)).double()
    mean, variance = memory.moments()
    assert torch.allclose(x.mean(0), mean.double(), atol=0.1)
    assert torch.allclose(x.var(0), variance.double(), rtol=0.05)


def test_what_is_drawn_varies_along_the_directions() -> None:
    """Covariance W W^T + diag(s^2) by hand: 9 + 1 along (0.6, 0.8, 0)."""
    memory = Memory(
        torch.ones(1),
        torch.zeros(1, 3).half(),
        torch.tensor([[[1.8, 2.4, 0.0]]]).half(),
        torch.ones(1, 3).half(),
        torch.tensor(10_000),
    )
    x = seeded(Mixture([memory]), torch.zeros(60_000, dtype=torch.int64))
    expected = torch.tensor([[1 + 3.24, 4.32, 0], [4.32, 1 + 5.76, 0], [0, 0, 1.0]])
    assert torch.allclose(torch.cov(x.T), expected, atol=0.15)


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


def test_photos_of_a_component_are_its_share_of_the_memory() -> None:
    """Two components of one photo each, in a memory of two: a = 2 / 3, not 1 / 2."""
    half = Memory(
        torch.tensor([0.5, 0.5]),
        torch.tensor([[0.0], [100.0]]).half(),
        torch.zeros(2, 0, 1).half(),
        torch.zeros(2, 1).half(),
        torch.tensor(2),
    )
    wide = Memory(
        torch.ones(1),
        torch.zeros(1, 1).half(),
        torch.zeros(1, 0, 1).half(),
        torch.full((1, 1), 3.0).half(),
        torch.tensor(9),
    )
    x = seeded(Mixture([half, wide]), torch.zeros(60_000, dtype=torch.int64))[:, 0]
    low = x[x < 50]
    assert len(low) / len(x) == pytest.approx(0.5, abs=0.01)
    assert float(low.var()) == pytest.approx(2 / 3 * 9 / 2, rel=0.05)


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
        ("means", float("nan")),
        ("directions", float("inf")),
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
        ("means", torch.zeros(2, DEPTH + 1).half()),
        ("means", torch.zeros(0, DEPTH).half()),
        ("means", torch.zeros(2, DEPTH)),
        ("means", torch.zeros(()).half()),
        ("directions", torch.zeros(1, 2, DEPTH).half()),
        ("directions", torch.zeros(2, 2, 2, DEPTH).half()),
        ("directions", torch.zeros(2, 2, DEPTH + 1).half()),
        ("deviations", torch.zeros(DEPTH).half()),
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
