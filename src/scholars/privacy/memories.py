"""Make memories from noisy statistics: what can be known of classes' means and spread, and what noise hides.

Nothing here looks at a photo, so that it costs no privacy (Dwork & Roth 2014, proposition 2.1: post-processing). All is
in the directions of the statistics, of vectors u of length 1; r is the radius that turns them into features again.

    C      the covariance within classes, shared by all: the second moment less that of the means. Eigenvalues that
           noise of that size alone would have are replaced by their mean. Of a larger one, lambda, it is known how
           much of it is noise, and of its direction (Benaych-Georges & Nadakuditi 2011, section 3.1; the edge of the
           noise is e = 2 s q^1/2): d' = (d + (d^2 - e^2)^1/2) / 2, d = lambda - bulk, and 1 - (e / 2)^2 / d'^2 of that
    m_c    a class mean, of which noise of variance t_c is known, and a prior of variance b = g C, g the mean ratio of
           the variance between classes to that within: posterior mean b / (b + t_c) m_c, and variance b t_c / (b + t_c)

A memory dreams of what is known: its spread is C and the variance of the posterior.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from scholars.generators.memories import Memory
from scholars.privacy.directions import Directions
from scholars.privacy.mechanism import GRID, SHARES, Statistics, energies, symmetric

# Share of the mean eigenvalue that each eigenvalue of the covariance gets: noise makes small ones too small.
_SHRINKAGE = 0.1
# A variance below this share of the mean one is noise.
_LEAST_VARIANCE = 0.05
# Directions are kept as whole numbers up to this, as in every memory.
_LARGEST = 127


def private_memories(statistics: Statistics, directions: Directions, multiplier: float) -> list[Memory]:
    """Return a memory of each class.

    multiplier: that with which the noise of the statistics was drawn
    """
    means, posterior, within = estimate(statistics, multiplier)
    basis, scale = directions.basis, directions.scale
    inside, rest = energies(statistics, directions.longest)
    # |U (z - m)|^2 = r^2 sum_d (s_d u_d)^2, and the second moment of u is that within classes and between.
    spread = within.diagonal() + (means.square() * _weights(statistics)[:, None]).sum(0)
    radius = (inside / float((scale.square() * spread).sum().clamp_min(1e-12))) ** 0.5
    centre, lift = statistics.centre(directions.longest), radius * scale
    outside = rest / max(basis.shape[1] - len(basis), 1)
    deviations = (outside * (1 - basis.square().sum(0)).clamp_min(0)).sqrt()
    found = []
    for mean, extra, photos in zip(means, posterior, statistics.photos, strict=True):
        values, vectors = torch.linalg.eigh((lift[:, None] * (within + extra)) * lift)
        rows = vectors.flip(1).T @ basis
        found.append(
            Memory(
                weights=torch.ones(1),
                mean=(centre + (lift * mean) @ basis).half(),
                centres=torch.zeros(1, len(rows), dtype=torch.float16),
                spread=values.flip(0).clamp_min(0).sqrt().half(),
                directions=(rows * (_LARGEST / rows.abs().amax(1, keepdim=True))).round().to(torch.int8),
                deviations=deviations.half(),
                photos=photos.round().long(),
            )
        )
    return found


def estimate(statistics: Statistics, multiplier: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the posterior means of classes ``[K, q]``, their covariances ``[K, q, q]``, and that within ``[q, q]``."""
    photos, weights = statistics.photos, _weights(statistics)
    observed = statistics.sums.double() / GRID / photos[:, None]
    noise = (multiplier / SHARES["sums"] ** 0.5 / photos).square()
    q = observed.shape[1]
    between = (observed.T * weights) @ observed - torch.eye(q, dtype=torch.float64) * (weights * noise).sum()
    total = photos.sum()
    of_moment = multiplier / SHARES["moment"] ** 0.5 / 2**0.5 / float(total)
    within = _denoise(symmetric(statistics.moment, q) / total - between, of_moment)
    values, vectors = torch.linalg.eigh(within)
    along = observed @ vectors
    ratio = ((along.square().mean(0) - noise.mean()).clamp_min(0).sum() / values.sum()).clamp_min(1e-6)
    # Means of vectors of length 1 are no longer than 1.
    prior = values * torch.minimum(ratio, 1 / values.sum())
    known = prior / (prior + noise[:, None])
    posterior = torch.stack([(vectors * (share * own)) @ vectors.T for share, own in zip(known, noise, strict=True)])
    means = along * known
    means = means / means.norm(dim=1, keepdim=True).clamp_min(1)
    return means @ vectors.T, posterior, within


def _denoise(covariance: Tensor, deviation: float) -> Tensor:
    """Return a covariance ``[q, q]`` without what symmetric noise of this standard deviation adds."""
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    q = len(values)
    edge, mean = 2 * deviation * q**0.5, max(float(values.mean()), 1e-4 / q)
    above = values - values.median().clamp_min(0)
    spike = torch.where(above > edge, (above + (above.square() - edge**2).clamp_min(0).sqrt()) / 2, 0)
    spike = spike * (1 - (edge / 2) ** 2 / spike.square().clamp_min(1e-30)).clamp_min(0)
    bulk = max(mean - float(spike.mean()), _LEAST_VARIANCE * mean)
    values = (1 - _SHRINKAGE) * (bulk + spike) + _SHRINKAGE * mean
    return cast(Tensor, (vectors * values) @ vectors.T)


def _weights(statistics: Statistics) -> Tensor:
    return statistics.photos / statistics.photos.sum()


def hidden_classes(statistics: Statistics, multiplier: float, classes: Sequence[str]) -> list[str]:
    """Return the classes of whose mean the noise hides more than it leaves: of too few photos for this epsilon."""
    observed = statistics.sums.double() / GRID / statistics.photos[:, None]
    noise = observed.shape[1] * (multiplier / SHARES["sums"] ** 0.5 / statistics.photos).square()
    return [name for name, hidden in zip(classes, observed.square().sum(1) < 2 * noise, strict=True) if bool(hidden)]
