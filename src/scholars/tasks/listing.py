"""Lists of labelled images that are not decoded yet: what every reader of image files makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from scholars.errors import InputError
from scholars.settings import Fit
from scholars.tasks.skipped import Skipped


@dataclass(frozen=True)
class ImageListing:
    """Labelled images that are not decoded yet.

    name: name of the task
    where: the file, folder or name of the data set, for messages
    classes: class names
    labels: ``[N]``, indices into ``classes``
    keys: ``[N]``, what ``read`` takes and messages show; first those of the train part, then those of the test part
    read: key -> bytes of the image file
    train_count: how many images are for training; None: hold out about 20 % of each class, by content
    skipped: files of the source that are left out
    notes: what was decided while the source was read, a line each for people
    """

    name: str
    where: Path | str
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    keys: Sequence[str]
    read: Callable[[str], bytes]
    train_count: int | None
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        name: str,
        where: Path | str,
        classes: tuple[str, ...],
        train: Iterable[tuple[str, str]],
        test: Iterable[tuple[str, str]] | None,
        read: Callable[[str], bytes],
        skipped: tuple[Skipped, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> ImageListing:
        """Return the listing of the images of ``classes``.

        train, test: (key, class name) of every image; images of other classes are left out. test is None where the
            data set has no test part
        """
        label_of = {name: label for label, name in enumerate(classes)}
        parts = [[(key, label_of[own]) for key, own in part if own in label_of] for part in (train, test or ())]
        kept = [*parts[0], *parts[1]]
        return cls(
            name,
            where,
            classes,
            labels=np.array([label for _, label in kept], dtype=np.int64),
            keys=[key for key, _ in kept],
            read=read,
            train_count=None if test is None else len(parts[0]),
            skipped=skipped,
            notes=notes,
        )

    def without(self, unreadable: Collection[int]) -> ImageListing:
        """Return the listing without the images at these places, which are counted as skipped."""
        skipped = [Skipped(self.keys[place], "cannot be read") for place in sorted(unreadable)]
        kept = [place for place in range(len(self.keys)) if place not in unreadable]
        train_count = self.train_count
        return replace(
            self,
            labels=self.labels[kept],
            keys=[self.keys[place] for place in kept],
            train_count=None if train_count is None else sum(place < train_count for place in kept),
            skipped=(*self.skipped, *skipped),
        )


@dataclass(frozen=True)
class DecodeOptions:
    """Options for decoding the images of a listing.

    channels: 1 (grey) or 3 (RGB); None: grey if no image shows any colour, however it is saved
    size: side of the square images; None: the shortest side of all the images, but at most 64
    fit: how an image becomes a square; see `Task.resized`
    decode: whether to decode them now; if not, when they are needed
    skip_unreadable: whether files that cannot be read are left out, and counted; each is decoded to find out
    split: whether a test part is held out where there is none; if not, all images are in both parts
    on_progress: called with (images decoded, all images)
    """

    channels: int | None = None
    size: int | None = None
    fit: Fit = "crop"
    decode: bool = True
    skip_unreadable: bool = False
    split: bool = True
    on_progress: Callable[[int, int], None] = field(default=lambda done, total: None)

    def __post_init__(self) -> None:
        """Raise InputError for an impossible size."""
        if self.size is not None and self.size < 1:
            raise InputError(f"size is {self.size}; the side of an image is at least 1 pixel")


def natural_key(name: str) -> tuple[list[str | tuple[int, str]], str]:
    """Return a sorting key that puts "2" before "10"."""
    # Text and numbers alternate, so that like is always compared with like.
    pieces = re.split(r"([0-9]+)", name.casefold())
    # A number is compared by its length, then digit by digit: Python refuses to read one of thousands of digits.
    numbers = [piece.lstrip("0") for piece in pieces]
    return [(len(numbers[at]), numbers[at]) if at % 2 else piece for at, piece in enumerate(pieces)], name
