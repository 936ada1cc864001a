"""The statistics of private photos: what one photo changes, and how much noise hides it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from scholars.privacy.directions import Directions
from scholars.privacy.mechanism import (
    GRID,
    SHARES,
    Statistics,
    Whole,
    energies,
    release_statistics,
    sum_first,
    sum_second,
    symmetric,
)

D, Q, K = 6, 3, 2


def directions(seed: int = 0) -> Directions:
    drawn = torch.randn(D, D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return Directions(torch.linalg.qr(drawn).Q.T[:Q].contiguous(), torch.tensor([3.0, 2.0, 0.1]).double(), 5.0)


def photos(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return vectors of very different lengths, one of them 0, and labels."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(count, D, generator=generator) * 10 ** torch.randn(count, 1, generator=generator)
    vectors[-1] = 0
    return vectors, torch.randint(0, K, (count,), generator=generator)


def no_noise(values: Whole, deviation: float) -> Whole:
    return values


def first_of(vectors: Tensor, labels: Tensor) -> Statistics:
    blank = torch.zeros(0, dtype=torch.int64)
    return Statistics(**sum_first(vectors, labels, K, directions()), sums=blank, moment=blank, energy=blank)


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_no_photo_changes_a_sum_by_more_than_its_bound(count: int, seed: int) -> None:
    """Each photo of a set is left out in turn; what was drawn before, the centre, is the same."""
    vectors, labels = photos(count, seed)
    centre = first_of(vectors, labels)
    for gone in range(count):
        rest = torch.arange(count) != gone
        first, smaller_first = (sum_first(vectors[rows], labels[rows], K, directions()) for rows in (slice(None), rest))
        second, smaller_second = (
            sum_second(vectors[rows], labels[rows], K, directions(), centre) for rows in (slice(None), rest)
        )
        for whole, smaller in ((first, smaller_first), (second, smaller_second)):
            for name, value in whole.items():
                unit = GRID**2 if name == "moment" else GRID
                assert float((value - smaller[name]).double().norm()) / unit <= 1, name


def test_sums_by_hand() -> None:
    along = Directions(torch.eye(D, dtype=torch.float64)[:Q], torch.tensor([1.0, 2.0, 4.0]).double(), 10.0)
    vectors = torch.tensor([[3.0, 4.0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 20.0]])
    first = sum_first(vectors, torch.tensor([0, 1]), K, along)
    assert first["counts"].tolist() == [GRID, GRID]
    # A length of 5 of 10, and one of 20, which is clipped.
    assert float(first["length"]) / GRID == pytest.approx(1.5, abs=1e-4)
    assert (first["total"].double() / GRID).tolist() == pytest.approx([0.6, 0.8, 0, 0, 0, 1], abs=1e-4)
    # About a centre of 0, whose mean length is 10: of energies at most 2 * 10^2 count.
    none = torch.zeros(D, dtype=torch.int64)
    centre = Statistics(first["counts"], torch.tensor([2 * GRID]), none, none[:0], none[:0], none[:0])
    second = sum_second(vectors, torch.tensor([0, 1]), K, along, centre)
    # (3, 4 / 2, 0) at length 1; the other photo has nothing along the directions.
    unit = np.array([3, 2, 0]) / 13**0.5
    assert (second["sums"].double() / GRID).tolist() == [pytest.approx(unit.tolist(), abs=1e-4), [0, 0, 0]]
    assert (second["moment"].double() / GRID**2).flatten().tolist() == pytest.approx(
        np.outer(unit, unit).flatten().tolist(), abs=1e-4
    )
    assert (second["energy"].double() / GRID).tolist() == pytest.approx([25 / 200, 1], abs=1e-4)


@dataclass
class Recorder:
    """Notes the size and the deviation of all noise that is asked for, and adds none."""

    asked: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, values: Whole, deviation: float) -> Whole:
        self.asked.append((len(values), deviation))
        return values


def test_noise_by_hand() -> None:
    recorder = Recorder()
    release_statistics(*photos(5, 0), K, directions(), 1.5, recorder)
    by_size = [
        (K, 1.5 / SHARES["counts"] ** 0.5 * GRID),
        (1, 1.5 / SHARES["length"] ** 0.5 * GRID),
        (D, 1.5 / SHARES["total"] ** 0.5 * GRID),
        (K * Q, 1.5 / SHARES["sums"] ** 0.5 * GRID),
        (Q, 1.5 / SHARES["moment"] ** 0.5 * GRID**2),
        (Q * (Q - 1) // 2, 1.5 / (2 * SHARES["moment"]) ** 0.5 * GRID**2),
        (2, 1.5 / SHARES["energy"] ** 0.5 * GRID),
    ]
    assert [size for size, _ in recorder.asked] == [size for size, _ in by_size]
    assert [deviation for _, deviation in recorder.asked] == pytest.approx([deviation for _, deviation in by_size])
    # Together they are one mechanism of noise multiplier 1.5: the sum of 1 / z_j^2 is 1 / z^2.
    assert sum(SHARES.values()) == pytest.approx(1)


def test_statistics_say_what_they_are_of() -> None:
    vectors, labels = photos(40, 3)
    vectors = vectors[:-1] / vectors[:-1].norm(dim=1, keepdim=True) * 4 + 1
    labels = labels[:-1]
    found = release_statistics(vectors, labels, K, directions(), 1.0, no_noise)
    assert found.photos.tolist() == torch.bincount(labels).tolist()
    lengths = vectors.double().norm(dim=1)
    assert found.mean_length(5.0) == pytest.approx(float(lengths.clamp_max(5).mean()), rel=1e-3)
    mean = found.mean_length(5.0) * (vectors.double() / lengths[:, None]).mean(0)
    assert torch.allclose(found.centre(5.0), mean, atol=1e-3)
    centred = vectors.double() - mean
    inside = (centred @ directions().basis.T).square().sum(1)
    assert energies(found, 5.0)[0] == pytest.approx(float(inside.mean()), rel=1e-2)
    moment = symmetric(found.moment, Q)
    assert float(moment.trace()) == pytest.approx(len(labels), rel=1e-3)
    assert torch.equal(moment, moment.T)


def test_nothing_can_be_divided_by_no_photo() -> None:
    """A class without a photo, and a task without any, are as others with noise are."""
    found = release_statistics(torch.empty(0, D), torch.empty(0, dtype=torch.int64), K, directions(), 1.0, no_noise)
    assert found.photos.tolist() == [1, 1]
    assert bool(found.centre(5.0).isfinite().all())
    assert all(value > 0 for value in energies(found, 5.0))


@given(st.integers(2, 6), st.integers(0, 10_000))
def test_all_that_is_drawn_is_one_mechanism_of_its_multiplier(count: int, seed: int) -> None:
    """Without any one photo, all six sums together move by 1 / z^2 at most, each in units of its own noise."""
    vectors, labels = photos(count, seed)
    centre = first_of(vectors, labels)
    recorder = Recorder()
    release_statistics(vectors, labels, K, directions(), 2.0, recorder)
    counts, length, total, sums, diagonal, rest_of_moment, energy = (deviation for _, deviation in recorder.asked)
    by_name = {"counts": counts, "length": length, "total": total, "sums": sums, "energy": energy}
    for gone in range(count):
        kept = torch.arange(count) != gone
        whole, rest = (
            sum_first(vectors[rows], labels[rows], K, directions())
            | sum_second(vectors[rows], labels[rows], K, directions(), centre)
            for rows in (slice(None), kept)
        )
        change = {name: (whole[name] - rest[name]).double() for name in whole}
        moved = sum(float((change[name] / deviation).square().sum()) for name, deviation in by_name.items())
        # The upper triangle is what is drawn.
        moment = change["moment"]
        moved += float((moment.diagonal() / diagonal).square().sum())
        moved += float((moment.triu(1) / rest_of_moment).square().sum())
        assert moved <= 1 / 2.0**2 + 1e-9
