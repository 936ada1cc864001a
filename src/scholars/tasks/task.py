"""A task: named, labelled images with a train part and a real, held-out test part."""

from __future__ import annotations

import hashlib
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from scholars.errors import InputError, ScholarsWarning, counted, did_you_mean, printable, shortlist
from scholars.settings import Fit
from scholars.tasks import transforms
from scholars.tasks.holdout import group_copies
from scholars.tasks.images import Images
from scholars.tasks.resize import CHUNK
from scholars.tasks.skipped import Skipped, describe_skipped

Split = Literal["given", "held out", "none", "whole", "private"]


def nfc(name: str) -> str:
    """Return a name with each accented letter as one character (Unicode NFC).

    File systems disagree about it, and one class would become two.
    """
    return unicodedata.normalize("NFC", name)


def check_name(name: str, where: str) -> None:
    """Raise InputError for a name that is no Unicode text, or that holds control characters, which terminals obey."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InputError(f"{where}: the name {name!r} is not UTF-8; rename it") from None
    if not printable(name):
        raise InputError(f"{where}: the name {name!r} has a control character; rename it")


@dataclass(frozen=True, repr=False)
class Task:
    """A labelled image-classification data set.

    name: name of the task
    classes: class names; label i means ``classes[i]``
    train, test: the two parts; ``test`` is never trained on
    native_bytes: bytes of an image before it was resized; None: it was not
    skipped: files of its source that were left out
    notes: what was decided while its source was read, a line each for people
    split: where the test part comes from: it was "given"; it was "held out" by Scholars, and may be empty; there is
        "none", and all images are trained on; or the task is "whole": both parts are all images, to be scored alone;
        or its photos are "private": the train part is empty here, and a test part is public
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    test: Images
    native_bytes: int | None = None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    split: Split = "given"

    def __repr__(self) -> str:
        return f"<Task {self.name!r}: {', '.join(self.classes)}; train {self.train}, test {self.test}>"

    def __post_init__(self) -> None:
        """Raise InputError for an empty part, repeated class names, and labels without a class."""
        for name in (self.name, *self.classes):
            check_name(name, f"task {self.name!r}")
        if len(set(self.classes)) != len(self.classes):
            raise InputError(f"task {self.name!r}: class names repeat: {', '.join(self.classes)}")
        for part, data in (("train", self.train), ("test", self.test)):
            if len(data) == 0 and self.split in (("private",) if part == "train" else ("held out", "none", "private")):
                continue
            if len(data) == 0:
                raise InputError(f"task {self.name!r}: the {part} part holds no image")
            low, high = int(data.labels.min()), int(data.labels.max())
            if low < 0 or high >= len(self.classes):
                raise InputError(
                    f"task {self.name!r}: {part} labels reach from {low} to {high}, "
                    f"but there are {len(self.classes)} classes"
                )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names, images and labels, computed once."""
        digest = hashlib.sha256(repr((self.name, self.classes)).encode())
        for data in (self.train, self.test):
            digest.update(data.content_digest)
            digest.update(data.labels.tobytes())
        return digest.hexdigest()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Lines for people: what was decided while its source was read, and which files were left out."""
        return (*self.notes, describe_skipped(self.skipped)) if self.skipped else self.notes

    @property
    def look_seconds(self) -> float:
        """The seconds that it took a backbone to look at both parts."""
        return self.train.seconds + self.test.seconds

    @property
    def image_bytes(self) -> int:
        """Bytes that it takes to keep one image: its features, else its pixels in the smallest shape that it had."""
        if self.train.features is not None:
            return int(self.train.features[0].nbytes)
        now = int(np.prod(self.train.images.shape[1:]))
        return now if self.native_bytes is None else min(now, self.native_bytes)

    def resized(self, channels: int, size: int, fit: Fit = "crop") -> Task:
        """Return the task with images ``[N, channels, size, size]``, scaled (bilinear, antialiased).

        fit: crop: the shorter side is scaled to ``size``, and the longer one cropped around its centre; pad: the longer
            one is scaled to ``size``, and the image stands in the middle of a black square; stretch: both sides are
            scaled to ``size``

        Grey is repeated to RGB and RGB weighted to grey. Values stay uint8 in 0..255: every task gets the same
        normalisation later, so that brightness never tells the solver which task it sees.
        """
        resized = self._map(lambda part: part.resized(channels, size, fit))
        return replace(resized, native_bytes=self.image_bytes)

    def check_classes(self) -> None:
        """Raise InputError for a class without training images, and where there is no test part."""
        if self.split == "whole":
            raise InputError(
                f"task {self.name!r} has no test part: open it with one, take that of another task, or go without"
            )
        if self.split != "private" and (empty := set(range(len(self.classes))) - set(self.train.labels.tolist())):
            missing = self.classes[min(empty)]
            raise InputError(f"task {self.name!r}: class {missing!r} has no training image; leave it out")

    def select_classes(self, classes: Sequence[str]) -> Task:
        """Return the task of these classes alone, with labels in their order. Raises InputError."""
        classes = resolve_classes(self.name, self.classes, classes)
        new_labels = np.full(len(self.classes), -1, dtype=np.int64)
        for new, name in enumerate(classes):
            new_labels[self.classes.index(name)] = new

        def select(part: Images) -> Images:
            kept = part[new_labels[part.labels] >= 0]
            return replace(kept, labels=new_labels[kept.labels])

        return replace(self, classes=classes, train=select(self.train), test=select(self.test))

    def with_test_part(self, other: Task) -> Task:
        """Return the task with the test part of ``other``.

        Warns of its images that are in the train part, too, or nearly so. Raises InputError if it has a class which
        this task has not.
        """
        for name in other.classes:
            if name not in self.classes:
                raise InputError(
                    f"a task is tested on its own classes, and {other.name!r} has a class {name!r}, which "
                    f"{self.name!r} does not teach. {did_you_mean(name, self.classes)}"
                )
        new_labels = np.array([self.classes.index(name) for name in other.classes])
        self._warn_of_known(other)
        unused = []
        if self.split == "given":
            unused.append(
                f"its own test part, {counted(len(self.test), 'image')}, is not used: that of {other.name} is"
            )
        if other.split == "held out":
            rest = counted(len(other.train), "image")
            unused.append(f"{rest} of {other.name} test nothing: it was split; open it with split=False")
        return replace(
            self,
            test=replace(other.test, labels=new_labels[other.test.labels]),
            skipped=tuple(dict.fromkeys((*self.skipped, *other.skipped))),
            notes=tuple(dict.fromkeys((*self.notes, *other.notes, *unused))),
            split="private" if self.split == "private" else "given",
        )

    def without_test_part(self) -> Task:
        """Return the task to be learned without a test: all its images are trained on, those of a test part, too."""
        if self.split == "whole":
            return replace(self, test=self.test[:0], split="none")
        notes = (*self.notes, "the images of the test part are trained on, too")
        train = self.train.followed_by(self.test)
        return replace(self, train=train, test=self.test[:0], split="none", notes=notes)

    def without_photos(self, test: Task | None = None) -> Task:
        """Return the task as a private one: its classes, without its photos, and the public test part of another.

        Raises InputError for a task whose test part was held out: by near-duplicates, one photo decides about others.
        """
        if self.split == "held out":
            raise InputError(
                f"task {self.name!r}: which photos are held out depends on other photos, and a private task holds out "
                "none: open it with split=False"
            )
        notes = ("its own test part is not used",) if self.split == "given" else ()
        blank = replace(self, train=self.train[:0], test=self.test[:0], skipped=(), notes=notes, split="private")
        return blank.with_test_part(test) if test else blank

    def _warn_of_known(self, other: Task) -> None:
        """Warn where test images of another task are trained on here, or near-duplicates of them."""
        parts = (self.train, other.test)
        groups = group_copies(
            np.concatenate([part.digests for part in parts]), [each for part in parts for each in part.fingerprints]
        )
        known = np.isin(groups[len(self.train) :], groups[: len(self.train)])
        if known.any():
            text = (
                f"{int(known.sum()):,} of the {len(other.test):,} test images of {other.name!r} are trained on, or are "
                "near-duplicates of such: their accuracy says too much; "
            )
            text += "test it on other images" if known.all() else f"take them out of {self.name!r}"
            if other.test.files is not None:
                keys = other.test.files.keys
                text += ":\n" + shortlist([f"  {keys[place]}" for place in np.flatnonzero(known).tolist()], "\n")
            warnings.warn(text, ScholarsWarning, stacklevel=3)

    def with_validation_split(self, share: float) -> Task:
        """Return the task with a share of each class's training images, always the same, in place of its test part.

        For choices that must not depend on the test part. Of each class at least one image is held out and one is left
        to train on; a class of one image is only trained on.
        """
        rng = np.random.default_rng(0)
        held_out = np.zeros(len(self.train), dtype=np.bool_)
        for label in range(len(self.classes)):
            own = rng.permutation(np.flatnonzero(self.train.labels == label))
            held_out[own[: min(max(1, round(share * len(own))), max(0, len(own) - 1))]] = True
        return replace(self, train=self.train[~held_out], test=self.train[held_out], split="given")

    def inverted(self) -> Task:
        """Return the task with dark and bright swapped."""
        return self.transformed(transforms.invert())

    def transformed(self, transform: transforms.Transform) -> Task:
        """Return the task with each image transformed; those of files when they are decoded."""
        return self._map(lambda part: part.transformed(transform))

    def rotated(self, degrees: float) -> Task:
        """Return the task with its images rotated counter-clockwise about their centre, the new corners black."""
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2 import functional as vision

        def rotate(part: Images) -> Images:
            if part.pixels is None:
                return part.transformed(transforms.rotate(degrees))
            chunks = torch.split(part.tensor, CHUNK)
            rotated = [vision.rotate(chunk, degrees, InterpolationMode.BILINEAR) for chunk in chunks]
            return Images(torch.cat(rotated).numpy(), part.labels)

        return self._map(rotate)

    def permuted(self, seed: int) -> Task:
        """Return the task with the pixels of all images in one other order, drawn by ``seed``."""

        def permute(part: Images) -> Images:
            count, channels, height, width = part.images.shape
            order = np.random.default_rng(seed).permutation(height * width)
            pixels = part.images.reshape(count, channels, -1)[:, :, order]
            return Images(pixels.reshape(part.images.shape), part.labels)

        return self._map(permute)

    def sampled(self, per_class: int, seed: int) -> Task:
        """Return the task with ``per_class`` random training images of each class, or all if there are fewer."""
        rng = np.random.default_rng(seed)
        indices = [np.flatnonzero(self.train.labels == label) for label in range(len(self.classes))]
        kept = np.concatenate([rng.permutation(own)[:per_class] for own in indices])
        return replace(self, train=self.train[np.sort(kept)])

    def limited(self, count: int) -> Task:
        """Return the task with at most ``count`` training images, chosen at random but always the same ones."""
        if len(self.train) <= count:
            return self
        keep = np.sort(np.random.default_rng(0).permutation(len(self.train))[:count])
        return replace(self, train=self.train[keep])

    def _map(self, change: Callable[[Images], Images]) -> Task:
        """Return the task with both parts changed."""
        return replace(self, train=change(self.train), test=change(self.test))


def resolve_classes(task: str, known: Sequence[str], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the chosen classes of a task, or all. Raises InputError for an unknown class, or one chosen twice."""
    if classes is None:
        return tuple(known)
    classes = [nfc(name) for name in classes]
    for name in classes:
        if name not in known:
            raise InputError(f"task {task!r} has no class {name!r}. {did_you_mean(name, known)}")
    if not classes or len(set(classes)) != len(classes):
        raise InputError(f"task {task!r}: choose each class once, got {', '.join(classes) or 'none'}")
    return tuple(classes)
