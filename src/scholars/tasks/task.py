"""What a task is: named, labelled images with a train part and a real, held-out test part."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from scholars.errors import InputError, nearest, printable
from scholars.tasks.shapes import CHUNK, as_tensor, fit_images, forward


@dataclass(frozen=True, repr=False)
class Images:
    """Labelled images.

    images: ``[N, C, H, W]`` uint8 in 0..255, C is 1 (grey) or 3 (RGB)
    labels: ``[N]`` int64, indices into the class names of the task
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return f"<{len(self)} images {list(self.images.shape[1:])}>"

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def __post_init__(self) -> None:
        """Refuse arrays of another shape or type, with InputError."""
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[1] not in (1, 3):
            raise InputError(
                f"images must be uint8 [N, C, H, W] with 1 or 3 channels, got {self.images.dtype} {self.images.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.ndim != 1:
            raise InputError(f"labels must be int64 [N], got {self.labels.dtype} {self.labels.shape}")
        if len(self.images) != len(self.labels):
            raise InputError(f"{len(self.images)} images but {len(self.labels)} labels")
        object.__setattr__(self, "images", forward(self.images))
        object.__setattr__(self, "labels", forward(self.labels))

    @property
    def tensor(self) -> torch.Tensor:
        """The images as a tensor over the same memory. It may be a file's: not to be written to."""
        return as_tensor(self.images)

    def resized(self, channels: int, size: int) -> Images:
        """The same images as ``[N, channels, size, size]``; see `Task.resized`."""
        return Images(fit_images(self.images, channels, size), self.labels)

    def __getitem__(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Images:
        """The images and labels at these places."""
        return Images(self.images[index], self.labels[index])


def composed(name: str) -> str:
    """A class name with its accents as one character each (NFC): file systems disagree, and one class would be two."""
    return unicodedata.normalize("NFC", name)


def check_text(name: str, where: str) -> None:
    """Raise InputError for a name that no file could hold as text, or that a terminal would obey."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: the name {name!r} is not UTF-8; rename it") from None
    if not printable(name):
        raise InputError(f"{where}: the name {name!r} has a control character; rename it")


@dataclass(frozen=True, repr=False)
class Task:
    """A labelled image-classification data set.

    name: how people call it
    classes: class names; label i means ``classes[i]``
    train, test: the two parts; ``test`` is never trained on
    native_bytes: of an image as it was before it was brought to another shape; None: as it is
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    native_bytes: int | None = None

    def __repr__(self) -> str:
        return f"<Task {self.name!r}: {', '.join(self.classes)}; train {self.train}, test {self.test}>"

    def __post_init__(self) -> None:
        """Refuse an empty part, repeated class names, and labels without a class, with InputError."""
        for name in (self.name, *self.classes):
            check_text(name, f"task {self.name!r}")
        if len(set(self.classes)) != len(self.classes):
            raise InputError(f"task {self.name!r}: class names repeat: {', '.join(self.classes)}")
        for part, data in (("train", self.train), ("test", self.test)):
            if len(data) == 0:
                raise InputError(f"task {self.name!r}: the {part} part holds no image")
            low, high = int(data.labels.min()), int(data.labels.max())
            if low < 0 or high >= len(self.classes):
                raise InputError(
                    f"task {self.name!r}: {part} labels reach from {low} to {high}, "
                    f"but there are {len(self.classes)} classes"
                )

    @property
    def image_bytes(self) -> int:
        """What it costs to keep one image, at 8 bits a value, in the smallest shape that it had."""
        now = int(np.prod(self.train.images.shape[1:]))
        return now if self.native_bytes is None else min(now, self.native_bytes)

    def resized(self, channels: int, size: int) -> Task:
        """The same task with images ``[N, channels, size, size]``.

        The shorter side is scaled to ``size`` (bilinear, antialiased) and the longer one cropped around its centre;
        grey is repeated to RGB and RGB weighted to grey. Values stay uint8 in 0..255: every task gets the same
        normalisation later, so that brightness never tells the solver which task it sees.
        """

        return replace(
            self,
            train=self.train.resized(channels, size),
            test=self.test.resized(channels, size),
            native_bytes=self.image_bytes,
        )

    def check_classes(self) -> None:
        """Raise InputError for a class of which nothing could be learned, and nothing dreamt."""
        if empty := set(range(len(self.classes))) - set(self.train.labels.tolist()):
            missing = self.classes[min(empty)]
            raise InputError(f"task {self.name!r}: class {missing!r} has no training image; leave it out")

    def only(self, classes: Sequence[str]) -> Task:
        """The part of this task that shows ``classes``, relabelled in the given order. Raises InputError."""
        classes = chosen(self.name, self.classes, classes)
        place = np.full(len(self.classes), -1, dtype=np.int64)
        for new, name in enumerate(classes):
            place[self.classes.index(name)] = new

        def part(data: Images) -> Images:
            kept = data[place[data.labels] >= 0]
            return Images(kept.images, place[kept.labels])

        return replace(self, classes=classes, train=part(self.train), test=part(self.test))

    def tested_on(self, other: Task) -> Task:
        """The same task with the test part of ``other``. Raises InputError if that has a class which this has not."""
        for name in other.classes:
            if name not in self.classes:
                raise InputError(
                    f"the test part of {other.name!r} has a class {name!r}, which {self.name!r} does not teach. "
                    f"{nearest(name, self.classes)}"
                )
        place = np.array([self.classes.index(name) for name in other.classes])
        return replace(self, test=Images(other.test.images, place[other.test.labels]))

    def validated(self, share: float) -> Task:
        """The same task with ``share`` of each class's training images in the place of its test part, always the same.

        What is chosen by them is chosen without a look at the test part. Of a class at least one image is held out, and
        one is left to train on; a class of one image is only trained on.
        """
        dice = np.random.default_rng(0)
        held_out = np.zeros(len(self.train), dtype=np.bool_)
        for label in range(len(self.classes)):
            own = dice.permutation(np.flatnonzero(self.train.labels == label))
            held_out[own[: min(max(1, round(share * len(own))), max(0, len(own) - 1))]] = True
        return replace(self, train=self.train[~held_out], test=self.train[held_out])

    def inverted(self) -> Task:
        """The same task with dark and bright swapped."""

        def part(data: Images) -> Images:
            return Images(255 - data.images, data.labels)

        return replace(self, train=part(self.train), test=part(self.test))

    def rotated(self, degrees: float) -> Task:
        """The same task with its images turned counter-clockwise about their centre; what comes in is black."""
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2 import functional as vision

        def part(data: Images) -> Images:
            pieces = torch.split(data.tensor, CHUNK)
            turned = [vision.rotate(piece, degrees, InterpolationMode.BILINEAR) for piece in pieces]
            return Images(torch.cat(turned).numpy(), data.labels)

        return replace(self, train=part(self.train), test=part(self.test))

    def permuted(self, seed: int) -> Task:
        """The same task with the pixels of every image in another order, the same for all and given by ``seed``."""

        def part(data: Images) -> Images:
            count, channels, height, width = data.images.shape
            order = np.random.default_rng(seed).permutation(height * width)
            pixels = data.images.reshape(count, channels, -1)[:, :, order]
            return Images(pixels.reshape(data.images.shape), data.labels)

        return replace(self, train=part(self.train), test=part(self.test))

    def sampled(self, per_class: int, seed: int) -> Task:
        """The same task with ``per_class`` training images of each class, or all where there are fewer."""
        dice = np.random.default_rng(seed)
        places = [np.flatnonzero(self.train.labels == label) for label in range(len(self.classes))]
        kept = np.concatenate([dice.permutation(own)[:per_class] for own in places])
        return replace(self, train=self.train[np.sort(kept)])

    def limited(self, count: int) -> Task:
        """The same task with at most ``count`` training images, chosen at random but always the same ones."""
        if len(self.train) <= count:
            return self
        keep = np.sort(np.random.default_rng(0).permutation(len(self.train))[:count])
        return replace(self, train=self.train[keep])


def chosen(task: str, known: Sequence[str], classes: Sequence[str] | None) -> tuple[str, ...]:
    """The ``classes`` of a task, or all that are known. Raises InputError for what is not, or comes twice."""
    if classes is None:
        return tuple(known)
    classes = [composed(name) for name in classes]
    for name in classes:
        if name not in known:
            raise InputError(f"task {task!r} has no class {name!r}. {nearest(name, known)}")
    if not classes or len(set(classes)) != len(classes):
        raise InputError(f"task {task!r}: choose each class once, got {', '.join(classes) or 'none'}")
    return tuple(classes)
