"""Fit a memory: what is kept of the photos of one class of one task, a mixture of Gaussians of their features.

All Gaussians of a memory have the same covariance, in the q leading principal directions of its photos, rows of B
[q, D]; what these leave of each feature's variance, s^2, is noise. With weights pi_k and centres c_k [q],

    p(z) = sum_k pi_k N(z; m + B^T c_k, Sigma),        Sigma = B^T diag(l^2) B + diag(s^2).

With one Gaussian this is probabilistic principal component analysis (Tipping & Bishop 1999, eq. 1) with a noise
variance for each feature, as factor analysers have (Ghahramani & Hinton 1996); several share their factors. They are
found by k-means, then by steps of EM:

    E   R_nk = pi_k N(z_n; mu_k, Sigma) / sum_j pi_j N(z_n; mu_j, Sigma)
    M   pi_k = mean_n R_nk,   mu_k = sum_n R_nk z_n / sum_n R_nk,   Sigma = mean_n sum_k R_nk (z_n - mu_k)(z_n - mu_k)^T

A memory depends on its own photos alone, and on nothing drawn at random but from their digests: whatever else is
learned, before or after, the same photos make the same memory, bit for bit.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple, Self, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.compute.device import derive_seed, fork_rng

# Photos that a Gaussian needs, in each half of them, to be tried.
PHOTOS_PER_COMPONENT = 10
# Directions of few photos: no more than photos, but so many where their views have them.
LEAST_DIRECTIONS = 16
# Steps of k-means, which end early where nothing changes; and of EM: more change the likelihood of other photos little.
_KMEANS_STEPS, _EM_STEPS = 10, 5
# Share of the mean variance that each direction has at least while Gaussians are found and compared: one in which
# photos hardly differ would decide alone.
_FLOOR = 0.05
# Gaussians are found and compared in so many of the leading directions. In 64, fewer of them seemed enough, and dreams
# told the head less (docs/measurements.md).
_COMPARED_IN = 16
# Directions that a randomised decomposition computes beyond those asked for, and its power iterations (Halko et al.
# 2011, arXiv 0909.4061, section 1.3). Up to so many vectors or dimensions the decomposition is exact.
_OVERSAMPLED, _POWER_STEPS, _EXACT_UP_TO = 16, 3, 192
# Directions are kept as whole numbers up to this: a quarter of float32, and accuracy does not change.
_LARGEST = 127


class Memory(NamedTuple):
    """A mixture of K Gaussians of features in q directions, and the number of photos that it is of.

    weights: ``[K]`` float32, which sum to 1
    mean: ``[D]`` float16, m
    centres: ``[K, q]`` float16, the means of the Gaussians as coordinates along the directions, from m
    spread: ``[q]`` float16, l, the standard deviation of each Gaussian along each direction
    directions: ``[q, D]`` int8, the rows of B, each up to a factor that makes it as long as 1
    deviations: ``[D]`` float16, s, the standard deviation of what the directions leave of each feature
    photos: ``[]`` int64
    """

    weights: Tensor
    mean: Tensor
    centres: Tensor
    spread: Tensor
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

    @property
    def basis(self) -> Tensor:
        """Directions of length 1, ``[q, D]`` float32."""
        return F.normalize(self.directions.float(), dim=1)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return the mean ``[D]`` and the variance of each feature ``[D]`` of the whole mixture, float32."""
        means = self.centres.float() @ self.basis
        middle = self.weights @ means
        between = self.weights @ (means - middle).square()
        within = self.spread.float().square() @ self.basis.square() + self.deviations.float().square()
        return self.mean.float() + middle, between + within


class TiedMixture(NamedTuple):
    """Gaussians of one covariance while they are fitted, float32: weights ``[K]``, means ``[K, q]``, ``[q, q]``."""

    weights: Tensor
    means: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, vectors: Tensor, shares: Tensor) -> Self:
        """Fit them to ``vectors`` ``[N, q]``, of which each has its ``shares`` ``[N, K]`` (the M step)."""
        weights = shares.mean(0)
        means = shares.T @ vectors / shares.sum(0)[:, None]
        # sum_k R_nk = 1: the mean square less that of the means.
        covariance = vectors.T @ vectors / len(vectors) - means.T @ (weights[:, None] * means)
        return cls(weights, means, covariance)

    def log_joint(self, vectors: Tensor, floor: Tensor) -> Tensor:
        """Return log pi_k N(z_n; mu_k, Sigma) ``[N, K]``; ``floor``: variance added to each direction."""
        depth = len(self.covariance)
        root = torch.linalg.cholesky(self.covariance + floor * torch.eye(depth))
        white, means = (torch.linalg.solve_triangular(root, rows.T, upper=False).T for rows in (vectors, self.means))
        # Differences, not inner products: those of vectors far from 0 would lose what tells them apart.
        distance = (white[:, None] - means).square().sum(2)
        log_determinant = 2 * root.diagonal().log().sum()
        likelihood: Tensor = -0.5 * (distance + log_determinant + depth * math.log(2 * math.pi))
        return self.weights.log() + likelihood


def fit_memory(features: Tensor, digests: Tensor, components: int, rank: int) -> Memory:
    """Fit a memory to the features ``[N, V, D]`` of V views of each of N photos, in the order of their digests.

    digests: ``[N, 32]`` uint8, SHA-256 of each photo
    components: the most Gaussians: 1, 2, 4 ... are compared by the likelihood of photos that were left out
    rank: the most directions; of fewer photos than these as many as photos
    """
    count, views, depth = features.shape
    seed = derive_seed(int.from_bytes(hashlib.sha256(digests.numpy().tobytes()).digest()[:8]), "memory", 0)
    vectors = features.float().reshape(count * views, depth)
    mean = vectors.mean(0)
    with fork_rng(torch.device("cpu")):
        basis = _principal_directions(vectors - mean, min(rank, max(count, LEAST_DIRECTIONS)), seed)
        small = (vectors - mean) @ basis.T
        shares = _find_components(small[:, :_COMPARED_IN], digests.repeat_interleave(views, 0), components, seed)
    found = TiedMixture.of(small, shares)
    variances, turned = torch.linalg.eigh(found.covariance.double())
    directions = turned.float().T @ basis
    left = vectors - mean - small @ basis
    deviations = left.square().mean(0).sqrt()
    return _memory(found.weights, mean, found.means @ turned.float(), variances, directions, deviations, count)


def join_memories(memories: Sequence[Memory]) -> Memory:
    """Return one memory of what several are of: all their Gaussians, with the mean of their covariances.

    With n_i photos in memory i, n = sum_i n_i, and M = sum_i n_i / n m_i,

        Sigma = sum_i n_i / n Sigma_i,      weights n_i / n pi_ik,      means mu_ik,

    along the leading directions of Sigma + sum_ik n_i / n pi_ik (mu_ik - M)(mu_ik - M)^T, as many as the memory with
    the most has; what these leave of each feature's variance is noise.
    """
    if len(memories) == 1:
        return memories[0]
    photos = torch.tensor([float(memory.photos) for memory in memories])
    shares = (photos / photos.sum()).tolist()
    weights = torch.cat([share * memory.weights for share, memory in zip(shares, memories, strict=True)])
    means = torch.cat([memory.mean.float() + memory.centres.float() @ memory.basis for memory in memories])
    middle = weights @ means
    between = weights.sqrt()[:, None] * (means - middle)
    within = torch.cat(
        [share**0.5 * m.spread.float()[:, None] * m.basis for share, m in zip(shares, memories, strict=True)]
    )
    noise = sum(share * m.deviations.float().square() for share, m in zip(shares, memories, strict=True))
    rows = torch.cat([between, within])
    rank = min(max(len(memory.spread) for memory in memories), len(rows))
    basis = F.normalize(_leading(rows @ rows.T, rank).T @ rows, dim=1)
    variances, turned = torch.linalg.eigh((basis @ within.T @ within @ basis.T).double())
    directions = turned.float().T @ basis
    left = (rows - rows @ directions.T @ directions).square().sum(0)
    return _memory(
        weights,
        middle,
        (means - middle) @ directions.T,
        variances,
        directions,
        cast(Tensor, noise + left).sqrt(),
        int(photos.sum()),
    )


def _memory(
    weights: Tensor,
    mean: Tensor,
    centres: Tensor,
    variances: Tensor,
    directions: Tensor,
    deviations: Tensor,
    photos: int,
) -> Memory:
    """Return a memory of these numbers, float32 or float64, in the precision in which memories are kept."""
    return Memory(
        weights,
        mean.half(),
        centres.half(),
        variances.clamp_min(0).sqrt().half(),
        (directions / directions.abs().amax(1, keepdim=True) * _LARGEST).round().to(torch.int8),
        deviations.half(),
        torch.tensor(photos),
    )


def _find_components(vectors: Tensor, digests: Tensor, most: int, seed: int) -> Tensor:
    """Return each Gaussian's share of each vector, ``[N, K]``; K has the best likelihood of left-out photos.

    In two folds, by the digest of each vector's photo.
    """
    fold = digests[:, 0] % 2 == 1
    photos = [len(torch.unique(digests[part], dim=0)) for part in (fold, ~fold)]
    choices = [k for k in (2**power for power in range(most.bit_length())) if k * PHOTOS_PER_COMPONENT <= min(photos)]
    if len(choices) < 2 or vectors.shape[1] == 0:
        return torch.ones(len(vectors), 1)
    floor = (_FLOOR * vectors.var(0, correction=0).mean()).clamp_min(1e-8)
    scores = []
    for count in choices:
        score = 0.0
        for held_out in (fold, ~fold):
            fitted = TiedMixture.of(vectors[~held_out], _fit_shares(vectors[~held_out], count, floor, seed))
            score += float(fitted.log_joint(vectors[held_out], floor).logsumexp(1).sum())
        scores.append(score)
    return _fit_shares(vectors, choices[scores.index(max(scores))], floor, seed)


def _fit_shares(vectors: Tensor, count: int, floor: Tensor, seed: int) -> Tensor:
    """Return the shares ``[N, K]`` of ``count`` Gaussians, or of fewer where vectors are equal."""
    shares = F.one_hot(_cluster(vectors, count, seed)).float()
    for _ in range(_EM_STEPS if shares.shape[1] > 1 else 0):
        shares = TiedMixture.of(vectors, shares).log_joint(vectors, floor).softmax(1)
        # A Gaussian of less than one vector goes.
        shares = F.normalize(shares[:, shares.sum(0) >= 1], p=1, dim=1)
    return shares


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


def _principal_directions(rows: Tensor, rank: int, seed: int) -> Tensor:
    """Return the leading principal directions ``[q, D]`` of centred rows ``[N, D]``, of length 1, by their variance.

    q is ``rank``, or less where rows have a spread along fewer directions.
    """
    count, depth = rows.shape
    rank = min(rank, count - 1, depth)
    if rank == 0:
        return rows.new_zeros(0, depth)
    if depth <= min(count, _EXACT_UP_TO):
        directions = _leading(rows.T @ rows, rank).T
    elif count <= _EXACT_UP_TO:
        # By the left singular vectors, from the N x N matrix of inner products.
        directions = _leading(rows @ rows.T, rank).T @ rows
    else:
        torch.manual_seed(seed)
        basis = rows @ torch.randn(depth, rank + _OVERSAMPLED)
        for _ in range(_POWER_STEPS):
            basis = rows @ (rows.T @ torch.linalg.qr(basis).Q)
        small = torch.linalg.qr(basis).Q.T @ rows
        directions = _leading(small @ small.T, rank).T @ small
    lengths = (rows @ F.normalize(directions, dim=1).T).norm(dim=0)
    # Where rows are equal, or lie in fewer dimensions, the last directions are rounding errors, and not orthogonal.
    return F.normalize(directions[lengths > 1e-4 * lengths.max()], dim=1)


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """Return the leading eigenvectors ``[N, rank]`` of a symmetric matrix ``[N, N]``."""
    return cast(Tensor, torch.linalg.eigh(matrix.double()).eigenvectors.flip(1)[:, :rank].float())
