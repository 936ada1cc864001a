"""Fit a memory: what is kept of the photos of one class of one task, a mixture of low-rank Gaussians of their features.

Of each component k, with weight pi_k, mean mu_k and covariance

    Sigma_k = W_k W_k^T + diag(s_k^2),        W_k [D, r],

W_k holds the leading r principal directions, each as long as the standard deviation along it, and s_k^2 what they leave
of each feature's variance: probabilistic principal components (Tipping & Bishop 1999, eq. 1) with one noise variance a
feature, as factor analysers have (Ghahramani & Hinton 1996). Components are found by k-means, then by steps of EM:

    E   R_nk = pi_k N(z_n; mu_k, Sigma_k) / sum_j pi_j N(z_n; mu_j, Sigma_j)        (Tipping & Bishop 1999, eq. 21)
    M   pi_k, mu_k, Sigma_k of the vectors, each weighted by R_nk                   (eq. 22-24)

A memory depends on its own photos alone, and on nothing drawn at random but from their digests: whatever else is
learned, before or after, the same photos make the same memory, bit for bit.
"""

import hashlib
import math
from typing import NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.compute.device import derive_seed, fork_rng

# Photos that a component needs: with fewer its directions are those of single photos.
PHOTOS_PER_COMPONENT = 20
# Steps of k-means, which end early where nothing changes; and of EM: more change the likelihood of other photos little.
_KMEANS_STEPS, _EM_STEPS = 10, 3
# Share of the mean variance that each feature has at least while likelihoods are compared: a feature that is 0 in all
# photos would decide alone.
_FLOOR = 0.05
# Components are found and compared in so many principal directions of all photos of a memory: an eighth of the time.
_SUBSPACE = 128
# Numbers of components are compared with as many directions together, this many times those of one; then each has
# those that it is to have, or its share if that is more.
_SHARED = 4
# Responsibilities below this are 0: they change nothing, and arithmetic with the smallest numbers is slow.
_LEAST_SHARE = 1e-4
# Directions that a randomised decomposition computes beyond those asked for, and its power iterations (Halko et al.
# 2011, arXiv 0909.4061, section 1.3). Up to so many vectors or dimensions the decomposition is exact.
_OVERSAMPLED, _POWER_STEPS, _EXACT_UP_TO = 16, 3, 192


class Memory(NamedTuple):
    """A mixture of K Gaussians of features, and the number of photos that it is of.

    weights: ``[K]`` float32, which sum to 1
    means: ``[K, D]`` float16
    directions: ``[K, r, D]`` float16, the rows of W_k^T
    deviations: ``[K, D]`` float16, s_k
    photos: ``[]`` int64
    """

    weights: Tensor
    means: Tensor
    directions: Tensor
    deviations: Tensor
    photos: Tensor

    @property
    def digest(self) -> str:
        """SHA-256 of all tensors: equal photos, seen equally, have equal ones."""
        found = hashlib.sha256()
        for value in self:
            found.update(repr(tuple(value.shape)).encode())
            found.update(value.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(value.nbytes for value in self)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the mean ``[D]`` and the variance of each feature ``[D]`` of the whole mixture, float32."""
        means, weights = self.means.float(), self.weights[:, None]
        variance = self.directions.float().square().sum(1) + self.deviations.float().square()
        mean = (weights * means).sum(0)
        return mean, (weights * (variance + (means - mean).square())).sum(0)


class Components(NamedTuple):
    """The components of a mixture while it is fitted, float32: ``[K]``, ``[K, D]``, ``[K, r, D]``, ``[K, D]``."""

    weights: Tensor
    means: Tensor
    directions: Tensor
    variances: Tensor

    @classmethod
    def of(cls, vectors: Tensor, shares: Tensor, rank: int, seed: int) -> Self:
        """Fit each component to all ``vectors`` ``[N, D]``, weighted by ``shares`` ``[N, K]`` (the M step)."""
        counts = shares.sum(0)
        fitted = []
        for place, (column, count) in enumerate(zip(shares.T, counts, strict=True)):
            own = column > 0
            part = derive_seed(seed, "directions", place)
            fitted.append(_principal_directions(vectors[own], column[own] / count, rank, part))
        # A component of few vectors has fewer directions than the others: the rest are zero.
        rank = max(len(directions) for _, directions, _ in fitted)
        fitted = [
            (mean, F.pad(directions, (0, 0, 0, rank - len(directions))), variance)
            for mean, directions, variance in fitted
        ]
        means, directions, variances = (torch.stack(parts) for parts in zip(*fitted, strict=True))
        return cls(counts / counts.sum(), means, directions, variances)

    def log_joint(self, vectors: Tensor, floor: Tensor) -> Tensor:
        """Return log pi_k N(z_n; mu_k, Sigma_k) ``[N, K]``; ``floor``: least variance of a feature.

        By the identities of Woodbury and Sylvester, with M = I + W^T S^-1 W: no D x D matrix is inverted.
        """
        columns = []
        for weight, mean, directions, variances in zip(*self, strict=True):
            variance = variances + floor
            scaled = directions / variance
            root = torch.linalg.cholesky(torch.eye(len(directions)) + scaled @ directions.T)
            centred = vectors - mean
            inner = torch.linalg.solve_triangular(root, scaled @ centred.T, upper=False)
            distance = (centred.square() / variance).sum(1) - inner.square().sum(0)
            log_determinant = variance.log().sum() + 2 * root.diagonal().log().sum()
            columns.append(weight.log() - 0.5 * (distance + log_determinant + len(mean) * math.log(2 * math.pi)))
        return torch.stack(columns, dim=1)


def fit_memory(features: Tensor, digests: Tensor, components: int, rank: int) -> Memory:
    """Fit a memory to the features ``[N, V, D]`` of V views of each of N photos, in the order of their digests.

    digests: ``[N, 32]`` uint8, SHA-256 of each photo
    components: the most that it may have: 1, 2, 4 ... are compared by the likelihood of photos that were left out
    rank: directions of each component; of fewer than `_SHARED` components each has more, so many times rank together
    """
    count, views, depth = features.shape
    seed = derive_seed(int.from_bytes(hashlib.sha256(digests.numpy().tobytes()).digest()[:8]), "memory", 0)
    vectors = features.float().reshape(count * views, depth)
    with fork_rng(torch.device("cpu")):
        shares = _find_components(vectors, digests.repeat_interleave(views, 0), components, rank, seed)
        found = Components.of(vectors, shares, max(rank, _SHARED * rank // shares.shape[1]), seed)
    return Memory(
        found.weights,
        found.means.half(),
        found.directions.half(),
        found.variances.sqrt().half(),
        torch.tensor(count),
    )


def _find_components(vectors: Tensor, digests: Tensor, most: int, rank: int, seed: int) -> Tensor:
    """Return each component's share of each vector, ``[N, K]``; K has the best likelihood of left-out photos.

    In two folds, by the digest of each vector's photo.
    """
    fold = digests[:, 0] % 2 == 1
    photos = [len(torch.unique(digests[part], dim=0)) for part in (fold, ~fold)]
    choices = [k for k in (2**power for power in range(most.bit_length())) if k * PHOTOS_PER_COMPONENT <= min(photos)]
    if len(choices) < 2:
        return torch.ones(len(vectors), 1)
    mean, directions, _ = _principal_directions(
        vectors, torch.full((len(vectors),), 1 / len(vectors)), min(_SUBSPACE, len(vectors) - 1), seed
    )
    small = (vectors - mean) @ F.normalize(directions, dim=1).T
    scores = []
    for count in choices:
        score = 0.0
        for held_out in (fold, ~fold):
            fitted, _ = _fit(small[~held_out], count, _SHARED * rank // count, seed)
            score += float(fitted.log_joint(small[held_out], _floor(small)).logsumexp(1).sum())
        scores.append(score)
    best = choices[scores.index(max(scores))]
    return _fit(small, best, _SHARED * rank // best, seed)[1]


def _fit(vectors: Tensor, count: int, rank: int, seed: int) -> tuple[Components, Tensor]:
    """Fit ``count`` components, or fewer where vectors are equal; return them and their shares ``[N, K]``."""
    shares = F.one_hot(_cluster(vectors, count, seed)).float()
    found = Components.of(vectors, shares, rank, seed)
    for step in range(_EM_STEPS if shares.shape[1] > 1 else 0):
        shares = found.log_joint(vectors, _floor(vectors)).softmax(1)
        shares = torch.where(shares < _LEAST_SHARE, 0.0, shares)
        # A component of less than two vectors has no covariance.
        shares = shares[:, shares.sum(0) >= 2]
        shares = shares / shares.sum(1, keepdim=True).clamp_min(_LEAST_SHARE)
        found = Components.of(vectors, shares, rank, derive_seed(seed, "step", step))
    return found, shares


def _floor(vectors: Tensor) -> Tensor:
    return (_FLOOR * vectors.var(0, correction=0).mean()).clamp_min(1e-8)


def _cluster(vectors: Tensor, count: int, seed: int) -> Tensor:
    """Return a cluster number for each vector, ``[N]``: k-means++ (Arthur & Vassilvitskii 2007), then Lloyd's steps."""
    if count == 1:
        return torch.zeros(len(vectors), dtype=torch.int64)
    torch.manual_seed(seed)
    centres = vectors[torch.randint(len(vectors), (1,))]
    while len(centres) < count:
        distance = torch.cdist(vectors, centres).amin(1).square()
        if not bool(distance.sum() > 0):
            break
        centres = torch.cat([centres, vectors[torch.multinomial(distance, 1)]])
    nearest = torch.cdist(vectors, centres).argmin(1)
    for _ in range(_KMEANS_STEPS):
        before = nearest
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        sizes = torch.bincount(nearest, minlength=len(centres))[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
        nearest = torch.cdist(vectors, centres).argmin(1)
        if torch.equal(nearest, before):
            break
    return cast(Tensor, torch.unique(nearest, return_inverse=True)[1])


def _principal_directions(vectors: Tensor, weights: Tensor, rank: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean ``[D]``, directions ``[rank, D]`` and the variances that they leave ``[D]`` of weighted vectors.

    weights: ``[N]``, which sum to 1
    """
    mean = weights @ vectors
    rows = (vectors - mean) * weights.sqrt()[:, None]
    variance = rows.square().sum(0)
    rank = min(rank, len(rows) - 1)
    if rank == 0:
        return mean, rows.new_zeros(0, len(mean)), variance
    if len(mean) <= min(len(rows), _EXACT_UP_TO):
        directions = _leading(rows.T @ rows, rank).T
        lengths = (rows @ directions.T).norm(dim=0)
        directions = directions * lengths[:, None]
    elif len(rows) <= _EXACT_UP_TO:
        # The left singular vectors, from the N x N matrix of inner products.
        directions = _leading(rows @ rows.T, rank).T @ rows
    else:
        torch.manual_seed(seed)
        basis = rows @ torch.randn(len(mean), rank + _OVERSAMPLED)
        for _ in range(_POWER_STEPS):
            basis = rows @ (rows.T @ torch.linalg.qr(basis).Q)
        small = torch.linalg.qr(basis).Q.T @ rows
        directions = _leading(small @ small.T, rank).T @ small
    return mean, directions, (variance - directions.square().sum(0)).clamp_min(0)


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """Return the leading eigenvectors ``[N, rank]`` of a symmetric matrix ``[N, N]``."""
    return cast(Tensor, torch.linalg.eigh(matrix.double()).eigenvectors.flip(1)[:, :rank].float())
