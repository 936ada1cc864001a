"""Train and sample generators for a few steps, the same way in every test."""

from __future__ import annotations

import torch

from scholars.compute.device import fork_rng, open_fabric
from scholars.generators import NO_TEACHER, Generator
from scholars.settings import ComputeSettings
from scholars.training.batches import Batch, Pool
from scholars.training.loop import Session, fit

FABRIC = open_fabric(ComputeSettings(precision="32-true"))
WHICH = torch.arange(64) % 3
POOL = Pool(torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8), WHICH, 3, WHICH)
# Conditions of which a teacher knows those below 2, and a new one.
OLD, NEW = torch.tensor([0, 1, 1, 0]), torch.tensor([2, 2, 2, 2])


def seeded(generator: Generator, labels: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Return what the generator draws under this seed."""
    generator.eval()
    with torch.inference_mode(), fork_rng(FABRIC.device):
        torch.manual_seed(seed)
        return generator.sample(labels)


def train(generator: Generator, pool: Pool, batch: int, steps: int) -> None:
    """Train without a teacher."""
    trainee = generator.trainee(FABRIC, NO_TEACHER)
    fit(trainee, lambda: pool.draw(batch), fabric=FABRIC, steps=steps, seed=0, stage="generator", session=Session())


def white(conditions: torch.Tensor) -> Batch:
    """Return white images of these conditions."""
    return Batch(
        torch.full((len(conditions), 1, 8, 8), 255, dtype=torch.uint8),
        torch.zeros(len(conditions), 3),
        conditions,
        torch.ones(len(conditions)),
    )
