"""Draw batches: from pools of images, augmented, and from mixes. Nothing else decides what is in a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.settings import Balance, SolverSettings
from scholars.settings.base import planned
from scholars.tasks.images import Images


class Batch(NamedTuple):
    """Images, or features of images, and what they are.

    inputs: images ``[B, C, H, W]`` uint8 in 0..255, or features ``[B, D]`` float16 or float32
    targets: ``[B, K]`` float32, a distribution over the K known classes
    conditions: ``[B]`` int64, which (task, class) pair of the scholar each image shows
    temperatures: ``[B]`` float32, softmax temperature of each target; 1 for ground-truth labels
    """

    inputs: Tensor
    targets: Tensor
    conditions: Tensor
    temperatures: Tensor

    @property
    def labels(self) -> Tensor:
        """``[B]`` int64, the most probable class."""
        return self.targets.argmax(1)


def concat_batches(batches: Iterable[Batch]) -> Batch:
    """Return several batches as one."""
    return Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))


class BatchSource(Protocol):
    """Something that batches are drawn from, at random under torch's global generator."""

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images."""


class Pool:
    """Images, or features, drawn with replacement.

    inputs: images ``[N, C, H, W]`` uint8, or features ``[N, D]`` float16
    targets: ``[N, k]`` float32 distributions over the first k of ``classes`` classes, or ``[N]`` int64 labels
    conditions: ``[N]`` int64; None for one condition only
    weights: ``[N]``, how often each is drawn, relative to the others; None: all alike
    temperature: softmax temperature of the targets
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        classes: int,
        conditions: Tensor | None = None,
        weights: Tensor | None = None,
        temperature: float = 1.0,
    ) -> None:
        self.inputs, self.targets, self.classes, self.temperature = inputs, targets, classes, temperature
        self.conditions = torch.zeros(len(inputs), dtype=torch.int64) if conditions is None else conditions
        self._cumulative: Tensor | None = None
        if weights is not None:
            total = weights.double().cumsum(0)
            self._cumulative = total / total[-1]

    @classmethod
    def of(
        cls,
        data: Images,
        outputs: Sequence[int],
        classes: int,
        first_condition: int = 0,
        balance: Balance = "none",
    ) -> Pool:
        """Make a pool of real data: label i is the output ``outputs[i]`` and the condition ``first_condition + i``.

        balance: classes: every class is drawn equally often; none: every image
        """
        labels = data.label_tensor
        return cls(
            data.tensor,
            torch.tensor(outputs)[labels],
            classes,
            labels + first_condition,
            weights=weights_by(balance, labels),
        )

    def __len__(self) -> int:
        return len(self.inputs)

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images."""
        if self._cumulative is None:
            index = torch.randint(len(self.inputs), (count,))
        else:
            index = torch.searchsorted(self._cumulative, torch.rand(count, dtype=torch.float64), right=True)
        targets = self.targets[index]
        if targets.ndim == 1:
            targets = F.one_hot(targets, self.classes).float()
        targets = F.pad(targets, (0, self.classes - targets.shape[1]))
        return Batch(self.inputs[index], targets, self.conditions[index], torch.full((count,), self.temperature))


def balance(labels: Tensor) -> Tensor:
    """Return weights ``[N]`` float64 by which every label that occurs is drawn equally often."""
    return 1 / torch.bincount(labels).double()[labels]


def weights_by(policy: Balance, labels: Tensor) -> Tensor | None:
    """Return how often each of what is labelled so is drawn, as ``replay.balance`` says; None for all alike."""
    return balance(labels) if policy == "classes" else None


@dataclass(frozen=True)
class Noisy:
    """A source of features with Gaussian noise of this standard deviation added."""

    source: BatchSource
    deviation: float

    def draw(self, count: int) -> Batch:
        """Draw ``count`` feature vectors."""
        batch = self.source.draw(count)
        return batch._replace(inputs=batch.inputs.float() + self.deviation * torch.randn(batch.inputs.shape))


@dataclass(frozen=True)
class Augmented:
    """A source whose images are augmented for the solver; conditions and temperatures stay.

    shift: translation by up to this many pixels each way
    warp: random affine map, by up to this share of the image's size
    flip: horizontal mirroring, half of the time
    invert: negatives, half of the time
    mixup: alpha of mixup among the images of a draw (Zhang et al. 2018, arXiv 1710.09412, section 2); 0 for none
    noise: Gaussian noise; its standard deviation is drawn for each image between 0 and this, of 255; 0 for none
    smoothing: label smoothing, the share of each target spread over all classes (Szegedy et al. 2016, section 7)
    """

    source: BatchSource
    _: KW_ONLY
    shift: int = 0
    warp: float = 0.0
    flip: bool = False
    invert: bool = False
    mixup: float = 0.0
    noise: float = 0.0
    smoothing: float = 0.0

    @classmethod
    def by(cls, settings: SolverSettings, source: BatchSource) -> Augmented:
        """Augment ``source`` as real images of a new task are augmented."""
        s = settings
        return cls(
            source,
            shift=planned(s.shift),
            warp=planned(s.warp),
            flip=s.flip,
            invert=planned(s.invert),
            noise=planned(s.noise),
            smoothing=s.smoothing,
        )

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images."""
        images, targets, *rest = self.source.draw(count)
        images = warp(shift(images, self.shift), self.warp)
        if self.flip:
            mirrored = torch.rand(count, 1, 1, 1) < 0.5
            images = torch.where(mirrored, images.flip(3), images)
        if self.invert:
            negative = torch.rand(count, 1, 1, 1) < 0.5
            images = torch.where(negative, 255 - images, images)
        if self.mixup:
            # x = l x_i + (1 - l) x_j,  y = l y_i + (1 - l) y_j,  l ~ Beta(alpha, alpha), each image with its own l.
            first = torch.distributions.Beta(self.mixup, self.mixup).sample((count,))
            other = torch.randperm(count)
            mixed = torch.lerp(images[other].float(), images.float(), first[:, None, None, None])
            images = mixed.round().to(torch.uint8)
            targets = torch.lerp(targets[other], targets, first[:, None])
        if self.noise:
            deviation = self.noise * torch.rand(count, 1, 1, 1)
            noisy = images + deviation * torch.randn(images.shape)
            images = noisy.clamp_(0, 255).round_().to(torch.uint8)
        if self.smoothing:
            # q'(k) = (1 - e) q(k) + e / K
            targets = (1 - self.smoothing) * targets + self.smoothing / targets.shape[1]
        return Batch(images, targets, *rest)


def shift(images: Tensor, pixels: int) -> Tensor:
    """Translate each image ``[B, C, H, W]`` by up to ``pixels`` each way, repeating the border."""
    if pixels == 0:
        return images
    count, _, height, width = images.shape
    dy, dx = torch.randint(-pixels, pixels + 1, (2, count, 1))
    rows = (torch.arange(height) + dy).clamp_(0, height - 1)
    columns = (torch.arange(width) + dx).clamp_(0, width - 1)
    batch = torch.arange(count)[:, None, None]
    # Indexed channels-last: one gather of whole pixels.
    return images.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def warp(images: Tensor, share: float) -> Tensor:
    """Map each image ``[B, C, H, W]`` uint8 by (I + A) about its centre, A_ij ~ U(-share, share)."""
    if share == 0:
        return images
    change = share * (2 * torch.rand(len(images), 2, 2) - 1)
    maps = F.pad(torch.eye(2) + change, (0, 1))
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    seen = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    return seen.round_().to(torch.uint8)


class Mix:
    """Several sources, each with a share of every batch.

    Systematic sampling: a part's count in a batch differs from ``share * count`` by less than one, and equals it on
    average (Shin et al. 2017, eq. 1-2, with the expectation estimated by one mixed batch).
    """

    def __init__(self, parts: Sequence[tuple[float, BatchSource]]) -> None:
        total = sum(share for share, _ in parts)
        self.parts = [(share / total, source) for share, source in parts]

    def draw(self, count: int) -> Batch:
        """Draw ``count`` images, one source after the other."""
        ends = (
            torch.tensor([share for share, _ in self.parts], dtype=torch.float64).cumsum(0) * count + torch.rand(1)
        ).floor()
        ends[-1] = count
        counts = ends.diff(prepend=torch.zeros(1)).int().tolist()
        return concat_batches(source.draw(n) for n, (_, source) in zip(counts, self.parts, strict=True) if n)


def new_data_ratio(ratio: float | Literal["auto"], class_counts: Sequence[int]) -> float:
    """Return the share of new data when the last of several tasks, of ``class_counts`` classes each, is learned."""
    if len(class_counts) == 1:
        return 1.0
    return class_counts[-1] / sum(class_counts) if ratio == "auto" else ratio


def mix_shares(ratio: float | Literal["auto"], class_counts: Sequence[int]) -> list[float]:
    """Return each task's share in the batches of the last one: r for it, the rest in proportion to class counts.

    A bank of dreams, balanced over all conditions, has these proportions; so real data that is replayed has them, too.
    """
    new = new_data_ratio(ratio, class_counts)
    *earlier, _ = class_counts
    return [*((1 - new) * count / sum(earlier) for count in earlier), new]
