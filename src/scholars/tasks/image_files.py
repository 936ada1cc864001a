"""Image files that are decoded when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from scholars.errors import InputError, shortlist
from scholars.tasks.decoding import map_files, open_upright
from scholars.tasks.transforms import Transform

T = TypeVar("T")


@dataclass(frozen=True, eq=False, repr=False)
class ImageFiles:
    """Image files, in some order, and what was done to their images.

    where: the file, folder or name of the data set, for messages
    keys: ``[N]``, what ``read`` takes and messages show
    read: key -> bytes of the image file
    digests: ``[N, 32]`` uint8, SHA-256 of each file
    deciders: ``[N, 32]`` uint8, the digests that decide whether images are held out (`scholars.tasks.holdout`)
    fingerprints: ``[N]``, what near-duplicates are found by (`scholars.tasks.near_duplicates`); None of small pictures
    sides: ``[N]`` int64, pixels of the shorter side
    sizes: ``[N]`` int64, bytes of each file
    transforms: applied to each image, in this order, before it is resized
    """

    where: Path | str
    keys: Sequence[str]
    read: Callable[[str], bytes]
    digests: npt.NDArray[np.uint8]
    deciders: npt.NDArray[np.uint8]
    fingerprints: Sequence[npt.NDArray[np.uint8] | None]
    sides: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    transforms: tuple[Transform, ...] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> ImageFiles:
        """Return the files at these indices."""
        chosen = np.arange(len(self))[index].tolist()
        return replace(
            self,
            keys=[self.keys[place] for place in chosen],
            digests=self.digests[index],
            deciders=self.deciders[index],
            fingerprints=[self.fingerprints[place] for place in chosen],
            sides=self.sides[index],
            sizes=self.sizes[index],
        )

    @property
    def folder_names(self) -> set[str]:
        """The names of the folders in which the files are, as a rule those of their classes."""
        return {parent for key in self.keys if (parent := PurePath(key).parent.name)}

    def transformed(self, transform: Transform) -> ImageFiles:
        """Return the same files, with one more transform of their images."""
        return replace(self, transforms=(*self.transforms, transform))

    def followed_by(self, other: ImageFiles) -> ImageFiles:
        """Return these files and then those of ``other``, of the same source."""
        return replace(
            self,
            keys=[*self.keys, *other.keys],
            digests=np.concatenate([self.digests, other.digests]),
            deciders=np.concatenate([self.deciders, other.deciders]),
            fingerprints=[*self.fingerprints, *other.fingerprints],
            sides=np.concatenate([self.sides, other.sides]),
            sizes=np.concatenate([self.sizes, other.sizes]),
        )

    def map_pictures(self, function: Callable[[Image.Image, bytes], T], least: int) -> tuple[list[T], list[str]]:
        """Return the function's result for each picture, upright, of mode L or RGB, transformed, and its digest.

        And a line about each file that cannot be read.

        least: pixels of the shorter side that are enough, where nothing transforms the pictures
        """
        results: list[T] = []
        bad: list[str] = []
        for key, digest in zip(self.keys, self.digests, strict=True):

            def apply(content: bytes, digest: bytes = digest.tobytes()) -> T:
                picture = open_upright(content, None if self.transforms else least)
                for transform in self.transforms:
                    picture = transform.apply(picture)
                return function(picture, digest)

            (found,) = map_files(self.read, [key], apply)
            if isinstance(found, str):
                bad.append(f"  {key}: {found}")
            else:
                results.append(found)
        return results, bad


def unreadable(where: Path | str, lines: Sequence[str], count: int) -> InputError:
    """Return the error that lists the files, of ``count``, which cannot be read, each in one line with the reason."""
    listed = shortlist(lines, "\n")
    return InputError(f"{where}: {len(lines)} of {count} images cannot be read; replace or remove:\n{listed}")
