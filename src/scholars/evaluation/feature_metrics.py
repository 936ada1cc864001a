"""Compare two sets of images by their features ``[N, D]``: Frechet distance, coverage, nearest distances."""

import torch
from torch import Tensor

# Rows of a distance matrix in memory at once.
ROWS = 500


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Return the squared Frechet distance between Gaussians fitted to two sets of features (Heusel et al. 2017, eq. 6).

    |mu_a - mu_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)); 0 for equal sets. Each set needs two or more rows.
    """
    a, b = a.double(), b.double()
    means = (a.mean(0) - b.mean(0)).square().sum()
    if min(len(a), len(b)) < a.shape[1]:
        # Fewer vectors than features: with X, Y the centred rows over the root of n - 1, the roots of the eigenvalues
        # of C_a C_b = X^T X Y^T Y are the singular values of X Y^T.
        x, y = ((part - part.mean(0)) / (len(part) - 1) ** 0.5 for part in (a, b))
        root_trace = torch.linalg.svdvals(x @ y.T).sum()
        return float((means + x.square().sum() + y.square().sum() - 2 * root_trace).clamp_min(0))
    cov_a, cov_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(b.shape[1], -1)
    # The trace of a matrix root is the sum of the roots of the eigenvalues; those of C_a C_b are real and not negative.
    root_trace = torch.linalg.eigvals(cov_a @ cov_b).real.clamp_min(0).sqrt().sum()
    return float((means + cov_a.trace() + cov_b.trace() - 2 * root_trace).clamp_min(0))


def manifold_coverage(points: Tensor, by: Tensor, neighbours: int = 3) -> float:
    """Return the share of ``points`` on the manifold of ``by``: within some point's distance to its k-th neighbour.

    Precision is ``manifold_coverage(dreams, by=real)``, recall ``manifold_coverage(real, by=dreams)`` (Kynkaanniemi et
    al. 2019, eq. 1-2).
    """
    if len(by) <= neighbours:
        return 0.0
    # The nearest neighbour of a point in its own set is itself.
    radii = torch.cat([torch.cdist(part, by).kthvalue(neighbours + 1, dim=1).values for part in torch.split(by, ROWS)])
    inside = [(torch.cdist(part, by) <= radii).any(dim=1) for part in torch.split(points, ROWS)]
    return float(torch.cat(inside).float().mean())


def nearest_distances(points: Tensor, others: Tensor) -> Tensor:
    """Return the Euclidean distance of each of ``points`` to the nearest of ``others``, ``[N]``."""
    return torch.cat([torch.cdist(part, others).amin(dim=1) for part in torch.split(points, ROWS)])
