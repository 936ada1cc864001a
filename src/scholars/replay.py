"""Where a batch comes from: real data, dreams, and their mix. Nothing else decides what is in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.tasks.task import Images


class Batch(NamedTuple):
    """Images and what they are.

    images: ``[B, C, H, W]`` uint8 in 0..255
    targets: ``[B, K]`` float32, a distribution over the K known classes
    """

    images: Tensor
    targets: Tensor

    @property
    def labels(self) -> Tensor:
        """``[B]`` int64, the most probable class."""
        return self.targets.argmax(1)


class Source(Protocol):
    """Something that batches are drawn from, at random under torch's global generator."""

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images."""


class Pool:
    """Images in memory, drawn uniformly with replacement.

    images: ``[N, C, H, W]`` uint8
    targets: ``[N, K]`` float32 distributions, or ``[N]`` int64 labels below ``classes``
    """

    def __init__(self, images: Tensor, targets: Tensor, classes: int) -> None:
        self.images, self.targets, self.classes = images, targets, classes

    @classmethod
    def of(cls, data: Images, outputs: Sequence[int], classes: int) -> Pool:
        """Real data; ``outputs[i]`` is the solver's output for the task's label i."""
        return cls(torch.from_numpy(data.images), torch.tensor(outputs)[torch.from_numpy(data.labels)], classes)

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images."""
        index = torch.randint(len(self.images), (count,))
        targets = self.targets[index]
        if targets.ndim == 1:
            targets = F.one_hot(targets, self.classes).float()
        return Batch(self.images[index], F.pad(targets, (0, self.classes - targets.shape[1])))


class Mix:
    """Several sources, each with its share of every batch.

    Systematic sampling: a part's count in a batch differs from ``share * count`` by less than one, and equals it on
    average (Shin et al. 2017, eq. 1-2, with the expectation estimated by one mixed batch).
    """

    def __init__(self, parts: Sequence[tuple[float, Source]]) -> None:
        total = sum(share for share, _ in parts)
        self.parts = [(share / total, source) for share, source in parts]

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images, the parts one after the other."""
        ends = (
            torch.tensor([share for share, _ in self.parts], dtype=torch.float64).cumsum(0) * count + torch.rand(1)
        ).floor()
        ends[-1] = count
        counts = ends.diff(prepend=torch.zeros(1)).int().tolist()
        batches = [source.draw(n) for n, (_, source) in zip(counts, self.parts, strict=True) if n]
        return Batch(torch.cat([b.images for b in batches]), torch.cat([b.targets for b in batches]))


def ratio_of_new(ratio: float | Literal["auto"], brought: Sequence[int]) -> float:
    """The share of new data when the last of several tasks is learned; ``brought[t]`` classes came with task t."""
    if len(brought) == 1:
        return 1.0
    return brought[-1] / sum(brought) if ratio == "auto" else ratio


def shares(ratio: float | Literal["auto"], brought: Sequence[int]) -> list[float]:
    """The share of each task in the batches of the last one, if every dream were a perfect memory.

    Replaying hands on what is known in the proportions in which it was learned:
    ``shares_t = [(1 - r_t) * shares_(t-1), r_t]``. The brackets draw real data in just these proportions.
    """
    result: list[float] = []
    for t in range(1, len(brought) + 1):
        new = ratio_of_new(ratio, brought[:t])
        result = [share * (1 - new) for share in result] + [new]
    return result
