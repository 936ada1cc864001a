"""Is an image like anything that was learned? Judged beside dreams, for no old image is there to judge by.

Two signs that an image is strange, each standardised by what it is for dreams, are added up:

    d(x) = Euclidean distance of x's features, at unit length, to the k-th nearest dream's
    e(x) = -log sum_c exp(logit_c(x))
    strangeness(x) = (d(x) - mean d) / spread d + (e(x) - mean e) / spread e

d is that of Sun et al. 2022 (arXiv 2204.06507), e the energy of Liu et al. 2020 (arXiv 2010.03759) at temperature 1.
An image is unfamiliar if it is stranger than all but a share of dreams. docs/measurements.md has what this catches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.errors import InputError

NEIGHBOUR = 5
# Images whose distances to all dreams are in memory at a time.
_ROWS = 1000


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What strangeness is measured by.

    dreams: ``[N, D]`` float16, features of dreams at unit length
    mean, spread: ``[2]`` float32, of d and e over other dreams
    threshold: ``[]`` float32, the strangeness above which an image is unfamiliar
    """

    dreams: Tensor
    mean: Tensor
    spread: Tensor
    threshold: Tensor

    @classmethod
    def of(cls, features: Tensor, logits: Tensor, share: float) -> Self:
        """Learn it from dreams: their features ``[M, D]`` and logits ``[M, K]``.

        Two thirds of them are what others are compared with, by one third the threshold is set, so that ``share`` of
        these are above it.
        """
        known = (2 * len(features) + 2) // 3
        dreams = F.normalize(features[:known], dim=1).half()
        signs = _signs(features[known:], logits[known:], dreams)
        mean, spread = signs.mean(0), signs.std(0).clamp_min(1e-6)
        strangeness = ((signs - mean) / spread).sum(1)
        return cls(dreams, mean, spread, strangeness.quantile(1 - share))

    def strangeness(self, features: Tensor, logits: Tensor) -> Tensor:
        """``[B]`` for features ``[B, D]`` and logits ``[B, K]``."""
        return ((_signs(features, logits, self.dreams) - self.mean) / self.spread).sum(1)

    def unfamiliar(self, features: Tensor, logits: Tensor) -> Tensor:
        """``[B]`` bool."""
        return self.strangeness(features, logits) > self.threshold

    def tensors(self) -> dict[str, Tensor]:
        """What is kept on disk."""
        return {"dreams": self.dreams, "mean": self.mean, "spread": self.spread, "threshold": self.threshold}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], depth: int, where: str) -> Self:
        """From what is on disk, for solvers with ``depth`` features. Raises InputError where it does not fit."""
        found = {name: (value.dtype, *value.shape) for name, value in tensors.items()}
        known = (*found.get("dreams", ()), 0, 0)[1]
        expected = {
            "dreams": (torch.float16, max(known, NEIGHBOUR), depth),
            "mean": (torch.float32, 2),
            "spread": (torch.float32, 2),
            "threshold": (torch.float32,),
        }
        if found != expected:
            raise InputError(f"{where}: the tensors do not fit the solver: expected {expected}, found {found}")
        if not all(bool(value.isfinite().all()) for value in tensors.values()) or not bool(
            (tensors["spread"] > 0).all()
        ):
            raise InputError(f"{where}: a number in it is not finite, or a spread not above 0; take an earlier copy")
        return cls(**tensors)


def _signs(features: Tensor, logits: Tensor, dreams: Tensor) -> Tensor:
    """d and e, ``[B, 2]``."""
    known = dreams.float()
    pieces = torch.split(F.normalize(features, dim=1), _ROWS)
    distance = torch.cat([torch.cdist(piece, known).kthvalue(NEIGHBOUR, dim=1).values for piece in pieces])
    return torch.stack([distance, -logits.logsumexp(1)], dim=1)
