"""Out-of-distribution detection: is an image unlike anything learned?

Images are compared with dreams; no old image is kept.

Two scores, each standardised by its values for dreams, are added:

    d(x) = Euclidean distance of x's features, at unit length, to the k-th nearest dream's
    e(x) = -log sum_c exp(logit_c(x))
    score(x) = (d(x) - mean d) / std d + (e(x) - mean e) / std e

d is that of Sun et al. 2022 (arXiv 2204.06507), e the energy of Liu et al. 2020 (arXiv 2010.03759) at temperature 1.
An image is unfamiliar if its score is above that of all but a share of dreams (docs/measurements.md has what this
finds).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.errors import InputError
from scholars.storage.weights import check_tensors

# k
NEIGHBOUR = 5
# Images whose distances to all dreams are in memory at a time.
_ROWS = 1000


@dataclass(frozen=True, eq=False)
class OODDetector:
    """A detector of images that are unlike the dreams that it was fitted to.

    dreams: ``[N, D]`` float16, features of dreams at unit length
    mean, std: ``[2]`` float32, of d and e over other dreams
    threshold: ``[]`` float32, the score above which an image is unfamiliar
    """

    dreams: Tensor
    mean: Tensor
    std: Tensor
    threshold: Tensor

    @classmethod
    def fit(cls, features: Tensor, logits: Tensor, share: float) -> Self:
        """Fit a detector to dreams: their features ``[M, D]`` and logits ``[M, K]``.

        Two thirds of them are kept to compare with; the threshold is set on the other third, so that ``share`` of these
        are above it.
        """
        count = cls.kept(len(features))
        dreams = F.normalize(features[:count], dim=1).half()
        scores = _scores(features[count:], logits[count:], dreams)
        mean, std = scores.mean(0), scores.std(0).clamp_min(1e-6)
        return cls(dreams, mean, std, ((scores - mean) / std).sum(1).quantile(1 - share))

    @staticmethod
    def kept(count: int) -> int:
        """Return how many of so many dreams are kept to compare with: the first two thirds."""
        return (2 * count + 2) // 3

    def score(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return the score ``[B]`` for features ``[B, D]`` and logits ``[B, K]``: higher is less familiar."""
        return ((_scores(features, logits, self.dreams) - self.mean) / self.std).sum(1)

    def unfamiliar(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return which scores are above the threshold, ``[B]`` bool."""
        return self.score(features, logits) > self.threshold

    def tensors(self) -> dict[str, Tensor]:
        """Return what is kept on disk."""
        return {"dreams": self.dreams, "mean": self.mean, "std": self.std, "threshold": self.threshold}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], depth: int, where: str) -> Self:
        """Make it from what is on disk, for solvers of ``depth`` features. Raises InputError where it does not fit."""
        count = tensors["dreams"].shape[0] if "dreams" in tensors and tensors["dreams"].ndim else 0
        expected = {
            "dreams": (torch.float16, max(count, NEIGHBOUR), depth),
            "mean": (torch.float32, 2),
            "std": (torch.float32, 2),
            "threshold": (torch.float32,),
        }
        check_tensors(tensors, expected, where)
        finite = all(bool(value.isfinite().all()) for value in tensors.values())
        if not finite or not bool((tensors["std"] > 0).all()):
            raise InputError(f"{where}: a number in it is not finite, or a std not above 0; take an earlier copy")
        return cls(**tensors)


def _scores(features: Tensor, logits: Tensor, dreams: Tensor) -> Tensor:
    """Return d and e, ``[B, 2]``."""
    known = dreams.float()
    chunks = torch.split(F.normalize(features, dim=1), _ROWS)
    distance = torch.cat([torch.cdist(chunk, known).kthvalue(NEIGHBOUR, dim=1).values for chunk in chunks])
    return torch.stack([distance, -logits.logsumexp(1)], dim=1)
