"""How like two sets of images are, given their features ``[N, D]``."""

from __future__ import annotations

import torch
from torch import Tensor

# Rows of a distance matrix that are held at once.
ROWS = 500


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """The squared Frechet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, eq. 6).

    |mu_a - mu_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)); 0 for equal sets. Needs two or more of each.
    """
    a, b = a.double(), b.double()
    of_a, of_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    # The trace of a root is the sum of the roots of the eigenvalues; those of C_a C_b are real and not negative.
    root = torch.linalg.eigvals(of_a @ of_b).real.clamp_min(0).sqrt().sum()
    means = (a.mean(0) - b.mean(0)).square().sum()
    return float((means + of_a.trace() + of_b.trace() - 2 * root).clamp_min(0))


def covered(points: Tensor, by: Tensor, neighbours: int = 3) -> float:
    """The share of ``points`` on the manifold of ``by``: within some point's distance to its k-th neighbour.

    Precision is ``covered(dreams, by=real)``, recall ``covered(real, by=dreams)`` (Kynkaanniemi et al. 2019, eq. 1-2).
    """
    if len(by) <= neighbours:
        return 0.0
    # The nearest of a point to its own set is itself.
    radii = torch.cat([torch.cdist(part, by).kthvalue(neighbours + 1, dim=1).values for part in torch.split(by, ROWS)])
    inside = [(torch.cdist(part, by) <= radii).any(dim=1) for part in torch.split(points, ROWS)]
    return float(torch.cat(inside).float().mean())


def nearest(points: Tensor, among: Tensor) -> Tensor:
    """The Euclidean distance of each of ``points`` to the nearest of ``among``, ``[N]``."""
    return torch.cat([torch.cdist(part, among).amin(dim=1) for part in torch.split(points, ROWS)])
