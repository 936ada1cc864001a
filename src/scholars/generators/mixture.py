"""Memories of photographs: for each condition a mixture of low-rank Gaussians of features, fitted in closed form.

No training, milliseconds a class, any number of photos from one on. Where photos are few their spread is that of all
memories rather than their own: a memory of n photos draws

    z = mu_k + sqrt(1 - a) e + sqrt(a) e',        a = v / (n + v),

where e is drawn from its own covariance and e' from that of a memory chosen at random: the covariance is
(1 - a) Sigma + a mean_j Sigma_j. What is stored of a memory does not change by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from scholars.compute.device import Fabric
from scholars.errors import InputError
from scholars.generators.base import Generator, Teacher
from scholars.generators.memories import Memory
from scholars.storage.weights import check_tensors
from scholars.training.loop import Trainee

# v: with so many photos a memory draws half of its spread from the others (docs/photographs.md).
PRIOR_PHOTOS = 2.0
# The most photos that a memory may say that it is of: numbers in files may be anything.
_MAX_PHOTOS = 2**40


class Mixture(Generator):
    """Draws features ``[B, D]``; it knows one memory for each condition, in their order."""

    def __init__(self, memories: Sequence[Memory]) -> None:
        super().__init__()
        self.parts = nn.ModuleList()
        for memory in memories:
            part = nn.Module()
            for name, value in memory._asdict().items():
                part.register_buffer(name, value)
            self.parts.append(part)

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        """The memory of each condition, on the CPU: drawing is a small share of what dreams are for."""
        return tuple(Memory(*(getattr(part, name).cpu() for name in Memory._fields)) for part in self.parts)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """The place of each memory in the order of their digests, in which no history shows."""
        order = sorted(range(len(self.memories)), key=lambda index: self.memories[index].digest)
        return tuple(order.index(index) for index in range(len(order)))

    def sample(self, conditions: Tensor) -> Tensor:
        """Draw one feature vector per condition ``[B]``, under torch's global generator: ``[B, D]`` float32.

        What is drawn does not depend on which number a condition has, but on its memory and on the other memories.
        """
        ranks = torch.tensor(self.ranks)[conditions.cpu()]
        drawn = torch.empty(len(ranks), len(self.memories[0].mean))
        shared = torch.empty(len(ranks), 1)
        for memory, rows in self._by_rank(ranks):
            share = PRIOR_PHOTOS / (float(memory.photos) + PRIOR_PHOTOS)
            shared[rows] = share
            component = torch.multinomial(memory.weights, len(rows), replacement=True)
            coordinates = memory.centres.float()[component] + (1 - share) ** 0.5 * _along_directions(memory, len(rows))
            drawn[rows] = (
                memory.mean.float() + coordinates @ memory.basis + (1 - share) ** 0.5 * _residuals(memory, len(rows))
            )
        return (drawn + shared.sqrt() * self._common_spread(len(ranks))).to(conditions.device)

    def _common_spread(self, count: int) -> Tensor:
        """Draw deviations from the means of Gaussians, each of a random memory, ``[count, D]``."""
        drawn = torch.empty(count, len(self.memories[0].mean))
        for memory, rows in self._by_rank(torch.randint(len(self.memories), (count,))):
            drawn[rows] = _along_directions(memory, len(rows)) @ memory.basis + _residuals(memory, len(rows))
        return drawn

    def _by_rank(self, ranks: Tensor) -> Iterator[tuple[Memory, Tensor]]:
        """Yield each memory whose rank occurs, in the order of ranks, and where it occurs."""
        by_rank = dict(zip(self.ranks, self.memories, strict=True))
        for rank in torch.unique(ranks).tolist():
            yield by_rank[rank], (ranks == rank).nonzero()[:, 0]

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Raise TypeError: a mixture is fitted, by `fit_memory`."""
        raise TypeError("a mixture is fitted, not trained")

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], conditions: int, depth: int, where: str) -> Self:
        """Make it from what is on disk: ``parts.I.NAME``. Raises InputError where it does not fit.

        conditions: how many memories there are; depth: D
        """
        expected: dict[str, tuple[object, ...]] = {}
        for index in range(conditions):
            centres = tensors.get(f"parts.{index}.centres")
            k, q = centres.shape if centres is not None and centres.ndim == 2 and len(centres) else (1, 0)
            expected |= {
                f"parts.{index}.weights": (torch.float32, k),
                f"parts.{index}.mean": (torch.float16, depth),
                f"parts.{index}.centres": (torch.float16, k, q),
                f"parts.{index}.spread": (torch.float16, q),
                f"parts.{index}.directions": (torch.int8, q, depth),
                f"parts.{index}.deviations": (torch.float16, depth),
                f"parts.{index}.photos": (torch.int64,),
            }
        check_tensors(tensors, expected, where)
        memories = [Memory(*(tensors[f"parts.{i}.{name}"] for name in Memory._fields)) for i in range(conditions)]
        for index, memory in enumerate(memories):
            finite = all(bool(value.isfinite().all()) for value in memory if value.is_floating_point())
            weights = finite and bool((memory.weights >= 0).all()) and 0.99 < float(memory.weights.sum()) < 1.01
            negative = bool((memory.deviations < 0).any()) or bool((memory.spread < 0).any())
            if not weights or negative or not 1 <= int(memory.photos) <= _MAX_PHOTOS:
                raise InputError(
                    f"{where}: memory {index} holds numbers that are not finite or out of range; take an earlier copy"
                )
        return cls(memories)


def _along_directions(memory: Memory, count: int) -> Tensor:
    """Draw what a Gaussian varies along its directions, ``[count, q]``."""
    return torch.randn(count, len(memory.spread)) * memory.spread.float()


def _residuals(memory: Memory, count: int) -> Tensor:
    """Draw what the directions leave of features, ``[count, D]``."""
    return torch.randn(count, len(memory.deviations)) * memory.deviations.float()
