"""Find the directions of features in which private statistics are taken, from the backbone's weights alone."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from scholars.backbones import Backbone
from scholars.backbones.networks import build_network, probe_images
from scholars.compute.device import derive_seed
from scholars.storage.records import BackboneRecord

# The most directions: more hold more noise, and fewer tell classes apart less (docs/measurements.md).
MOST_DIRECTIONS = 320
# Directions whose singular value is a smaller share of the largest one are left out: nothing varies along them.
_LEAST_SHARE = 1e-3
# A matrix that features come from has at least a quarter as many columns as rows, as in networks that widen at the end.
_COLUMNS = 4
# Noise images by which the length of a backbone's features is known without any photo, and how many times longer the
# features of a photo may be.
_PROBES, _TIMES_LONGER = 8, 4.0


@dataclass(frozen=True, eq=False)
class Directions:
    """Public directions of features.

    basis: ``[q, D]`` float64, orthonormal rows
    scale: ``[q]`` float64, how far features spread along each of them, by the weights
    longest: the length at which features are clipped where their mean length is measured
    """

    basis: Tensor
    scale: Tensor
    longest: float


def find_directions(backbone: Backbone) -> Directions:
    """Return the leading left singular vectors of the backbone's last matrix of weights, and its singular values.

    Features are what that matrix maps to, so that they spread along these directions; and no photo is needed to know
    them. A backbone without such a matrix has random directions instead, drawn by its digest.
    """
    record = backbone.record
    probes = backbone.features(probe_images(_PROBES, record.size)).double()
    longest = _TIMES_LONGER * float(probes.norm(dim=1).mean().clamp_min(1e-6))
    # In the order of the network: files have their tensors in that of names.
    with torch.device("meta"):
        names = list(build_network(record.architecture, record.size).state_dict())
    matrices = [
        weight.double().reshape(len(weight), -1)
        for weight in (backbone.weights[name] for name in names)
        # Not those of gates and depthwise convolutions, of few columns: features do not lie in what they map to.
        if weight.ndim > 1 and len(weight) == record.features and _COLUMNS * weight[0].numel() >= record.features
    ]
    matrix = matrices[-1].cpu() if matrices else _random_matrix(record)
    left, values, _ = torch.linalg.svd(matrix, full_matrices=False)
    kept = min(MOST_DIRECTIONS, int((values > _LEAST_SHARE * values[0]).sum()))
    basis = left[:, :kept].T.contiguous()
    # Which of both signs is returned is for the library to say: the largest number of each is positive here.
    signs = basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()
    return Directions(basis * signs, values[:kept], longest)


def _random_matrix(record: BackboneRecord) -> Tensor:
    """Return ``[D, q]`` float64 with orthonormal columns, always the same for a backbone."""
    with torch.random.fork_rng([]):
        torch.manual_seed(derive_seed(int(record.sha256[:15], 16), "directions", 0))
        drawn = torch.randn(record.features, min(MOST_DIRECTIONS, record.features), dtype=torch.float64)
    return cast(Tensor, torch.linalg.qr(drawn).Q)
