"""The statistics that are kept of private photos: sums with Gaussian noise, and nothing else.

A photo is one vector z [D], the mean of the features of its views, and has a class. With public directions U [q, D] of
scale s [q] (`scholars.privacy.directions`), statistics are drawn in two steps, each a sum over all photos:

    first     of each class, 1;    |z| / longest, at most 1;    z / |z|
    second    u = x / |x| for its class, x = U (z - m) / s;    u u^T;    |U (z - m)|^2 and the rest of |z - m|^2

where m is the mean by the first. One photo changes each of these sums by a vector of length 1 at most, as it has no
part in what others give. So if sum j has noise of deviation z / sqrt(share_j), the shares summing to 1, all of them
together are a Gaussian mechanism of noise multiplier z (`scholars.privacy.account`).

About m photos differ less than about 0, and in whitened directions noise hides least of what tells classes apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scholars.privacy.directions import Directions

# Shares of the privacy budget, chosen on held-out photos of four sets (docs/measurements.md).
SHARES = {"counts": 0.02, "length": 0.005, "total": 0.05, "sums": 0.64, "moment": 0.28, "energy": 0.005}
# Vectors are sums of whole steps of this size: 2^-16.
GRID = 2**16
# Vectors of which outer products are summed at a time: 2^18 numbers of at most 2^32 add up exactly in double precision.
_CHUNK = 2**18
# Energies are clipped at so many times the square of the mean length.
_MOST_ENERGY = 2.0
# The least that noise may leave of a mean length, as a share of the longest, and of a mean energy: both are divided by.
_LEAST_LENGTH, _LEAST_ENERGY = 1 / 64, 1e-3
# Of vectors of length 1, so that rounding errors make none longer.
_JUST_BELOW_1 = 1 - 1e-9

Whole = npt.NDArray[np.int64]
# From values and the standard deviation of their noise to noisy values.
AddNoise = Callable[[Whole, float], Whole]


class Statistics(NamedTuple):
    """Noisy sums over the photos of a task, int64, in steps of 1 / `GRID`; of ``moment`` of 1 / `GRID`^2.

    counts: ``[K]``; length: ``[1]``; total: ``[D]``; sums: ``[K, q]``
    moment: ``[q (q + 1) / 2]``, the upper triangle, row by row
    energy: ``[2]``, along the directions and of the rest
    """

    counts: Tensor
    length: Tensor
    total: Tensor
    sums: Tensor
    moment: Tensor
    energy: Tensor

    @property
    def photos(self) -> Tensor:
        """The noisy number of photos of each class ``[K]``, 1 at least, float64."""
        return (self.counts.double() / GRID).clamp_min(1)

    def mean_length(self, longest: float) -> float:
        """Return the mean length of feature vectors."""
        share = float(self.length) / GRID / float(self.photos.sum())
        return longest * min(max(share, _LEAST_LENGTH), 1.0)

    def centre(self, longest: float) -> Tensor:
        """Return m, the mean of all feature vectors, ``[D]`` float64."""
        # That of vectors of length 1 is no longer than 1, whatever noise says of few photos.
        mean = self.total.double() / GRID / self.photos.sum()
        return cast(Tensor, self.mean_length(longest) * mean / mean.norm().clamp_min(1))


def release_statistics(
    vectors: Tensor, labels: Tensor, classes: int, directions: Directions, multiplier: float, add_noise: AddNoise
) -> Statistics:
    """Return noisy statistics of photos.

    vectors: ``[N, D]``; labels: ``[N]`` int64, below ``classes``
    multiplier: z, the standard deviation of noise in times of what one photo changes at most
    """
    noisy: dict[str, Tensor] = {}

    def release(sums: dict[str, Tensor]) -> None:
        for name, values in sums.items():
            add, unit = (_noisy_moment, GRID**2) if name == "moment" else (_noisy, GRID)
            noisy[name] = add(values, multiplier / SHARES[name] ** 0.5 * unit, add_noise)

    release(sum_first(vectors, labels, classes, directions))
    blank = torch.zeros(0, dtype=torch.int64)
    first = Statistics(noisy["counts"], noisy["length"], noisy["total"], blank, blank, blank)
    release(sum_second(vectors, labels, classes, directions, first))
    return Statistics(**noisy)


def sum_first(vectors: Tensor, labels: Tensor, classes: int, directions: Directions) -> dict[str, Tensor]:
    """Return the sums of the first step, without noise, int64."""
    counts = GRID * torch.bincount(labels, minlength=classes)
    length = torch.zeros(1, dtype=torch.int64)
    total = torch.zeros(vectors.shape[1], dtype=torch.int64)
    for part in torch.split(vectors, _CHUNK):
        rows = part.double()
        length += _whole((rows.norm(dim=1) / directions.longest).clamp_max(1)).sum()
        total += _whole(_unit(rows)).sum(0)
    return {"counts": counts, "length": length, "total": total}


def sum_second(
    vectors: Tensor, labels: Tensor, classes: int, directions: Directions, first: Statistics
) -> dict[str, Tensor]:
    """Return the sums of the second step, without noise, int64; ``moment`` as ``[q, q]``.

    first: statistics with what the first step gave
    """
    q = len(directions.basis)
    centre, longest = first.centre(directions.longest), first.mean_length(directions.longest)
    sums = torch.zeros(classes, q, dtype=torch.int64)
    moment = torch.zeros(q, q, dtype=torch.int64)
    energy = torch.zeros(2, dtype=torch.int64)
    for part, own in zip(torch.split(vectors, _CHUNK), torch.split(labels, _CHUNK), strict=True):
        rows = part.double() - centre
        along = rows @ directions.basis.T
        whole = _whole(_unit(along / directions.scale))
        sums.index_add_(0, own, whole)
        exact = whole.double()
        moment += (exact.T @ exact).long()
        inside = along.square().sum(1)
        shares = torch.stack([inside, (rows.square().sum(1) - inside).clamp_min(0)], 1) / (_MOST_ENERGY * longest**2)
        energy += _whole(shares / shares.sum(1, keepdim=True).clamp_min(1)).sum(0)
    return {"sums": sums, "moment": moment, "energy": energy}


def energies(statistics: Statistics, longest: float) -> tuple[float, float]:
    """Return the mean of |U (z - m)|^2, and of the rest of |z - m|^2."""
    photos = float(statistics.photos.sum())
    unit = _MOST_ENERGY * statistics.mean_length(longest) ** 2
    inside, rest = (statistics.energy.double() / GRID / photos).clamp(_LEAST_ENERGY, 1.0).tolist()
    return unit * inside, unit * rest


def symmetric(moment: Tensor, q: int) -> Tensor:
    """Return the matrix ``[q, q]`` float64 whose upper triangle is given in steps of 1 / `GRID`^2."""
    found = torch.zeros(q, q, dtype=torch.float64)
    rows, columns = torch.triu_indices(q, q)
    found[rows, columns] = moment.double() / GRID**2
    found[columns, rows] = found[rows, columns]
    return found


def _noisy(values: Tensor, deviation: float, add_noise: AddNoise) -> Tensor:
    return torch.from_numpy(add_noise(values.flatten().numpy(), deviation)).reshape(values.shape)


def _noisy_moment(moment: Tensor, deviation: float, add_noise: AddNoise) -> Tensor:
    """Return the upper triangle with noise: off the diagonal of half the variance, as |u u^T| counts that twice."""
    rows, columns = torch.triu_indices(*moment.shape)
    values, diagonal = moment[rows, columns], rows == columns
    found = torch.empty_like(values)
    found[diagonal] = _noisy(values[diagonal], deviation, add_noise)
    found[~diagonal] = _noisy(values[~diagonal], deviation / 2**0.5, add_noise)
    return found


def _unit(rows: Tensor) -> Tensor:
    """Return rows of length just below 1; those of length 0 as they are."""
    return cast(Tensor, rows * (_JUST_BELOW_1 / rows.norm(dim=1, keepdim=True).clamp_min(1e-30)))


def _whole(values: Tensor) -> Tensor:
    """Return values in steps of the grid, rounded towards 0: no vector becomes longer."""
    return (values * GRID).trunc().long()
