"""A generator of one's own, the smallest that learns anything: a Gaussian for each class, over small images.

scholars --plugin examples/blobs.py learn my-scholar digits --generator blobs

Its means are what a class looks like on average.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from scholars import Batch, Descent, Generator, OwnSettings, Teacher, Trainee, register_generator, to_float


class Blobs(Generator):
    """x ~ N(mean[y], spread[y]^2), fitted by maximum likelihood."""

    def __init__(self, settings: OwnSettings, channels: int, size: int, conditions: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)
        self.mean = nn.Embedding(conditions, channels * size * size)
        self.log_spread = nn.Embedding(conditions, channels * size * size)
        for table in (self.mean, self.log_spread):
            nn.init.zeros_(table.weight)

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Minimise the negative log likelihood by gradient descent."""
        return Descent(fabric, self, self._loss, rate=0.05)

    def sample(self, conditions: Tensor) -> Tensor:
        """Draw one image for each condition, as floats in [-1, 1]."""
        mean, log_spread = self(conditions)
        return torch.normal(mean, log_spread.exp()).reshape(-1, *self.shape)

    def forward(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log of the standard deviation of each pixel."""
        return self.mean(conditions), self.log_spread(conditions)

    @staticmethod
    def _loss(model: nn.Module, batch: Batch) -> Tensor:
        mean, log_spread = model(batch.conditions)
        return F.gaussian_nll_loss(mean, to_float(batch.inputs).flatten(1), (2 * log_spread).exp())


register_generator("blobs", Blobs)
