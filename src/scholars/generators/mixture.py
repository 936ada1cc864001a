"""Memories of photographs: for each condition a mixture of low-rank Gaussians of features, fitted in closed form.

No training, milliseconds a class, any number of photos from one on. Where photos are few their spread is that of all
memories rather than their own: a component of n photos draws

    z = mu + sqrt(1 - a) e + sqrt(a) e',        a = v / (n + v),

where e is drawn from its own covariance and e' from that of another component, chosen at random: the covariance is
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
from scholars.generators.memories import Memory, fit_memory
from scholars.settings import MixtureSettings
from scholars.storage.weights import check_tensors
from scholars.training.loop import Trainee

# v: with so many photos a component draws half of its spread from the others (docs/photographs.md).
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

    @classmethod
    def of(
        cls, previous: Generator | None, features: Tensor, labels: Tensor, digests: Tensor, settings: MixtureSettings
    ) -> Self:
        """Return the memories of ``previous``, and one of each label's photos.

        features: ``[N, V, D]``; labels: ``[N]``; digests: ``[N, 32]`` uint8; all in the order of the digests
        """
        memories = list(previous.memories) if isinstance(previous, Mixture) else []
        for label in range(int(labels.max()) + 1):
            own = labels == label
            memories.append(fit_memory(features[own], digests[own], settings.components, settings.rank))
        return cls(memories)

    def sample(self, conditions: Tensor) -> Tensor:
        """Draw one feature vector per condition ``[B]``, under torch's global generator: ``[B, D]`` float32.

        What is drawn does not depend on which number a condition has, but on its memory and on the other memories.
        """
        ranks = torch.tensor(self.ranks)[conditions.cpu()]
        drawn = torch.empty(len(ranks), self.memories[0].means.shape[1])
        shared = torch.empty(len(ranks), 1)
        for memory, rows in self._by_rank(ranks):
            component = torch.multinomial(memory.weights, len(rows), replacement=True)
            share = PRIOR_PHOTOS / (memory.weights * memory.photos + PRIOR_PHOTOS)
            shared[rows] = share[component, None]
            spread = (1 - shared[rows]).sqrt() * _spread(memory, component)
            drawn[rows] = memory.means.float()[component] + spread
        return (drawn + shared.sqrt() * self._common_spread(len(ranks))).to(conditions.device)

    def _common_spread(self, count: int) -> Tensor:
        """Draw deviations from the mean of components of memories, each of a random one, ``[count, D]``."""
        drawn = torch.empty(count, self.memories[0].means.shape[1])
        for memory, rows in self._by_rank(torch.randint(len(self.memories), (count,))):
            drawn[rows] = _spread(memory, torch.multinomial(memory.weights, len(rows), replacement=True))
        return drawn

    def _by_rank(self, ranks: Tensor) -> Iterator[tuple[Memory, Tensor]]:
        """Yield each memory whose rank occurs, in the order of ranks, and where it occurs."""
        by_rank = dict(zip(self.ranks, self.memories, strict=True))
        for rank in torch.unique(ranks).tolist():
            yield by_rank[rank], (ranks == rank).nonzero()[:, 0]

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Raise TypeError: a mixture is fitted, by `Mixture.of`."""
        raise TypeError("a mixture is fitted, not trained")

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], conditions: int, depth: int, where: str) -> Self:
        """Make it from what is on disk: ``parts.I.NAME``. Raises InputError where it does not fit.

        conditions: how many memories there are; depth: D
        """
        expected: dict[str, tuple[object, ...]] = {}
        for index in range(conditions):
            means, directions = (tensors.get(f"parts.{index}.{name}") for name in ("means", "directions"))
            k = means.shape[0] if means is not None and means.ndim == 2 and len(means) else 1
            r = directions.shape[1] if directions is not None and directions.ndim == 3 else 0
            expected |= {
                f"parts.{index}.weights": (torch.float32, k),
                f"parts.{index}.means": (torch.float16, k, depth),
                f"parts.{index}.directions": (torch.float16, k, r, depth),
                f"parts.{index}.deviations": (torch.float16, k, depth),
                f"parts.{index}.photos": (torch.int64,),
            }
        check_tensors(tensors, expected, where)
        memories = [Memory(*(tensors[f"parts.{i}.{name}"] for name in Memory._fields)) for i in range(conditions)]
        for index, memory in enumerate(memories):
            finite = all(bool(value.isfinite().all()) for value in memory)
            weights = finite and bool((memory.weights >= 0).all()) and 0.99 < float(memory.weights.sum()) < 1.01
            if not weights or not 1 <= int(memory.photos) <= _MAX_PHOTOS or bool((memory.deviations < 0).any()):
                raise InputError(
                    f"{where}: memory {index} holds numbers that are not finite or out of range; take an earlier copy"
                )
        return cls(memories)


def _spread(memory: Memory, component: Tensor) -> Tensor:
    """Draw deviations from the mean of the given components ``[B]``, ``[B, D]``."""
    drawn = torch.empty(len(component), memory.means.shape[1])
    for index in torch.unique(component).tolist():
        rows = component == index
        count, directions = int(rows.sum()), memory.directions[index].float()
        noise = torch.randn(count, drawn.shape[1]) * memory.deviations[index].float()
        drawn[rows] = torch.randn(count, len(directions)) @ directions + noise
    return drawn
