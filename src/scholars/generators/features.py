"""Draw features of a frozen backbone instead of images (generative feature replay; Liu et al. 2020, arXiv 2004.09199).

A feature vector z of D dimensions is to a generator an image of D channels and one pixel, with values in [-1, 1]:

    x = (z - mean) / (4 std),      z = 4 std x + mean,

with the mean and the standard deviation of each dimension, set once by `FeatureGenerator.standardise`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from scholars.compute.device import Fabric, to_device
from scholars.generators.base import Generator, Teacher, build_kind
from scholars.settings import GeneratorSettings
from scholars.training.batches import Batch
from scholars.training.loop import Draw, Trainee

# Networks that end in tanh draw in [-1, 1]: features further than this many standard deviations from the mean are
# clipped. Of a Gaussian, one in 16,000 is.
DEVIATIONS = 4.0
# The least scale of a dimension: one that is always the same has no deviation to divide by.
MIN_SCALE = 1e-6


class FeatureGenerator(Generator):
    """Draws feature vectors ``[B, D]`` by way of a generator of another kind, the ``inner`` one.

    features: D, their dimensions
    mean, scale: ``[D]`` float32, where a standardised feature is 0, and what 1 is away from that; kept with the weights
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, settings: GeneratorSettings, features: int, conditions: int) -> None:
        super().__init__()
        self.inner = build_kind(settings, features, 1, conditions)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Set what features are standardised by: their mean and standard deviation, ``[D]`` each."""
        self.mean.copy_(mean)
        self.scale.copy_(DEVIATIONS * std).clamp_(min=MIN_SCALE)

    def standardise_as(self, other: FeatureGenerator) -> None:
        """Standardise as another generator does."""
        self.mean.copy_(other.mean)
        self.scale.copy_(other.scale)

    def sample(self, conditions: Tensor) -> Tensor:
        """Draw one feature vector per condition ``[B]``: ``[B, D]`` float32."""
        return self.inner.sample(conditions).float().flatten(1) * self.scale + self.mean

    def trainee(self, fabric: Fabric, teacher: Teacher) -> Trainee:
        """Return the training of the inner generator, on batches of features ``[B, D]``."""
        to_device(self, fabric.device)
        return FeatureTrainee(self, self.inner.trainee(fabric, teacher._replace(generator=self._taught_by(teacher))))

    def diagnose(self, metrics: Mapping[str, float]) -> str | None:
        """Return what the inner generator says of its training."""
        return self.inner.diagnose(metrics)

    def standardised(self, batch: Batch) -> Batch:
        """Return a batch of features ``[B, D]`` as the inner generator's images, ``[B, D, 1, 1]`` in [-1, 1]."""
        x = ((batch.inputs.float() - self.mean) / self.scale).clamp_(-1, 1)
        return batch._replace(inputs=x[:, :, None, None])

    def _taught_by(self, teacher: Teacher) -> Generator | None:
        """Return the teacher's inner generator, if what it draws means the same: it is standardised in the same way."""
        other = teacher.generator
        if not isinstance(other, FeatureGenerator):
            return None
        alike = torch.equal(other.mean.to(self.mean.device), self.mean) and torch.equal(
            other.scale.to(self.scale.device), self.scale
        )
        return other.inner if alike else None


class FeatureTrainee:
    """Trains the inner generator of a `FeatureGenerator` on standardised features."""

    def __init__(self, generator: FeatureGenerator, inner: Trainee) -> None:
        self._generator, self._inner = generator, inner
        # The whole generator in the place of its inner one: checkpoints keep mean and scale, too.
        others = {name: module for name, module in inner.modules.items() if module is not generator.inner}
        self.modules: Mapping[str, nn.Module] = {**others, "generator": generator}
        self.optimizers = inner.optimizers

    def learning_rates(self, progress: float) -> Mapping[str, float]:
        """Follow the inner generator's."""
        return self._inner.learning_rates(progress)

    def step(self, draw: Draw, progress: float) -> dict[str, Tensor]:
        """Take one step of the inner generator's training."""
        return self._inner.step(lambda: self._generator.standardised(draw()), progress)
