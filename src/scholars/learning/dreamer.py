"""A scholar whose dreams teach another one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from scholars.scholar import Scholar
from scholars.settings import ImageSettings
from scholars.tasks.resize import resize_images
from scholars.training.batches import Batch


@dataclass(frozen=True, eq=False)
class Dreamer:
    """A scholar, and where in the one that learns from it its outputs and conditions are.

    outputs: ``[k]`` int64, for each of its outputs the new scholar's; -1 for a class that is left out
    conditions: ``[c]`` int64, the same of its conditions
    weights: ``[c]`` float64, how often dreams of each condition are drawn, in comparison with other dreamers' too
    """

    scholar: Scholar
    outputs: Tensor
    conditions: Tensor
    weights: Tensor

    @property
    def share(self) -> float:
        """The weight of all its dreams together, in comparison with other dreamers'."""
        return float(self.weights.sum())

    def weigh(self, conditions: Tensor, weights: Tensor | None) -> Tensor | None:
        """Return how often each dream is drawn: by ``weights``, and by those of its condition, the new scholar's.

        None for all alike. Conditions that other scholars dream of, too, are drawn less often.
        """
        kept = self.conditions >= 0
        if len(set(self.weights[kept].tolist())) < 2:
            return weights
        table = torch.zeros(int(self.conditions.max()) + 1, dtype=torch.float64)
        table[self.conditions[kept]] = self.weights[kept]
        return table[conditions] * (1 if weights is None else weights)

    @property
    def asked(self) -> list[int] | None:
        """The conditions that its generator is asked for; None for all of them."""
        kept = (self.conditions >= 0).nonzero()[:, 0].tolist()
        return None if len(kept) == len(self.conditions) else kept

    def keep(self, dreams: Batch) -> Batch:
        """Return its dreams without those that show a class that is left out."""
        kept = (self.outputs[dreams.labels] >= 0) & (self.conditions[dreams.conditions] >= 0)
        return Batch(*(part[kept] for part in dreams))

    def translate(self, dreams: Batch, image: ImageSettings, classes: int) -> Batch:
        """Return its dreams as the new scholar sees them: their shape, labels and conditions; without left-out classes.

        A dream that shows a class that is left out is, too. Of the others its probability goes to the other classes:
        p(k | not left out) = p(k) / sum_j p(j), over the classes j that stay.
        """
        inputs, targets, conditions, temperatures = self.keep(dreams)
        stay = self.outputs >= 0
        found = targets.new_zeros(len(targets), classes).index_add_(1, self.outputs[stay], targets[:, stay])
        if inputs.ndim == 4:
            inputs = torch.from_numpy(resize_images(inputs.numpy(), image.channels, image.size))
        if not bool(stay.all()):
            found = found / found.sum(1, keepdim=True)
        return Batch(inputs, found, self.conditions[conditions], temperatures)
