"""Labelled images: an array, or files that are decoded when they are needed; and what a backbone saw of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from scholars.errors import InputError
from scholars.settings import Fit
from scholars.tasks.decode_cache import decode_all
from scholars.tasks.image_files import ImageFiles
from scholars.tasks.listing import DecodeOptions
from scholars.tasks.resize import CHUNK, as_array, as_picture, as_tensor, convert_channels, resize_images
from scholars.tasks.transforms import Transform

T = TypeVar("T")
U = TypeVar("U", np.uint8, np.float16)
# Images in which colours are looked for.
_LOOKED_AT = 200


@dataclass(frozen=True, repr=False, eq=False)
class Images:
    """Labelled images.

    pixels: ``[N, C, H, W]`` uint8 in 0..255, C is 1 (grey) or 3 (RGB); None: ``images`` decodes the files
    labels: ``[N]`` int64, indices into the class names of the task
    features: ``[N, V, D]`` float16, what a backbone saw in V views of each image, the plain one first; or None
    files: the files that the images are of, where they are of files
    seen_by: equal for equal features of the same image: says which backbone saw them, and how it was shown the images
    seconds: how long looking took
    fit: how images of files become squares
    """

    pixels: npt.NDArray[np.uint8] | None
    labels: npt.NDArray[np.int64]
    features: npt.NDArray[np.float16] | None = None
    files: ImageFiles | None = None
    seen_by: str | None = None
    seconds: float = 0.0
    fit: Fit = "crop"

    def __repr__(self) -> str:
        shape = f" {list(self.pixels.shape[1:])}" if self.pixels is not None else " in files"
        return f"<{len(self)} images{shape}>"

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __post_init__(self) -> None:
        """Raise InputError for arrays of another shape or type."""
        pixels = self.pixels
        if pixels is not None and (pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] not in (1, 3)):
            raise InputError(
                f"images must be uint8 [N, C, H, W] with 1 or 3 channels, got {pixels.dtype} {pixels.shape}"
            )
        if self.labels.dtype != np.int64 or self.labels.ndim != 1:
            raise InputError(f"labels must be int64 [N], got {self.labels.dtype} {self.labels.shape}")
        count = len(self.labels)
        for part, name in ((pixels, "images"), (self.features, "features"), (self.files, "image files")):
            if part is not None and len(part) != count:
                raise InputError(f"{len(part)} {name} but {count} labels")

    @cached_property
    def images(self) -> npt.NDArray[np.uint8]:
        """The images, ``[N, C, H, W]`` uint8 in 0..255; decoded from the files if need be, to 64 pixels a side at most.

        Raises InputError, listing them, for files that cannot be read.
        """
        if self.pixels is not None:
            return self.pixels
        if self.files is None:
            raise InputError("these are features without images: there is nothing to show")
        return decode_all(self.files, DecodeOptions(fit=self.fit))

    @property
    def tensor(self) -> torch.Tensor:
        """The images as a tensor over the same memory, which may be a file's: it must not be written to."""
        return as_tensor(self.images)

    @property
    def label_tensor(self) -> torch.Tensor:
        """The labels as a tensor over the same memory."""
        return as_tensor(self.labels)

    def count_labels(self, classes: int) -> tuple[int, ...]:
        """Return the number of images of each of so many classes."""
        return tuple(np.bincount(self.labels, minlength=classes).tolist())

    @property
    def feature_tensor(self) -> torch.Tensor:
        """The features as a tensor over the same memory. Raises InputError where no backbone has looked."""
        if self.features is None:
            raise InputError("no backbone has looked at these images: scholars.backbones.look does")
        return as_tensor(self.features)

    @cached_property
    def digests(self) -> npt.NDArray[np.uint8]:
        """SHA-256 of each image, ``[N, 32]`` uint8: of its file, or else of its pixels."""
        if self.files is not None:
            return self.files.digests
        found = [hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest() for image in self.images]
        return np.frombuffer(b"".join(found), np.uint8).reshape(-1, 32)

    @property
    def deciders(self) -> npt.NDArray[np.uint8]:
        """The digests that decide whether images are held out, ``[N, 32]`` uint8 (`scholars.tasks.holdout`)."""
        return self.files.deciders if self.files is not None else self.digests

    @property
    def fingerprints(self) -> Sequence[npt.NDArray[np.uint8] | None]:
        """The fingerprints by which near-duplicates are found, ``[N]`` (`scholars.tasks.near_duplicates`).

        None of small pictures, and of images that are not in files.
        """
        return self.files.fingerprints if self.files is not None else [None] * len(self)

    @cached_property
    def content_digest(self) -> bytes:
        """SHA-256 of all images: of files that are not decoded, of their digests and what was done to them."""
        if self.pixels is None and self.files is not None:
            names = [transform.name for transform in self.files.transforms]
            return hashlib.sha256(repr(names).encode() + self.files.digests.tobytes()).digest()
        digest = hashlib.sha256(repr(self.images.shape).encode())
        for chunk in self.chunks():
            digest.update(chunk.tobytes())
        return digest.digest()

    @property
    def median_side(self) -> float:
        """The median of the images' shorter sides, in pixels, as they came."""
        if self.files is not None:
            return float(np.median(self.files.sides))
        return float(min(self.images.shape[2:]))

    @property
    def are_grey(self) -> bool:
        """True if no image has colours, of some that are evenly spread over all."""
        sample = self[np.unique(np.linspace(0, len(self) - 1, min(_LOOKED_AT, len(self))).astype(np.int64))].images
        return sample.shape[1] == 1 or bool((sample == sample[:, :1]).all())

    @property
    def nbytes(self) -> int:
        """Bytes of the images as they came: of their files, or else of their pixels."""
        return int(self.files.sizes.sum()) if self.files is not None else self.images.nbytes

    def chunks(self) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the images, some thousands at a time, for all of them may be more than memory holds."""
        for start in range(0, len(self), CHUNK):
            yield self.images[start : start + CHUNK]

    def resized(self, channels: int, size: int, fit: Fit) -> Images:
        """Return the images as ``[N, channels, size, size]``; see `Task.resized`."""
        # What another fit has cropped away, or squeezed, is still in the files.
        if self.files is not None and (self.pixels is None or fit != self.fit):
            return replace(self, pixels=decode_all(self.files, DecodeOptions(channels, size, fit)), fit=fit)
        return replace(self, pixels=resize_images(self.images, channels, size, fit), fit=fit)

    def transformed(self, transform: Transform) -> Images:
        """Return the images with each one transformed; those of files when they are decoded."""
        files = self.files.transformed(transform) if self.files is not None else None
        if self.pixels is None:
            return Images(None, self.labels, files=files, fit=self.fit)
        channels = self.pixels.shape[1]
        changed = [convert_channels(as_array(transform.apply(as_picture(image))), channels) for image in self.pixels]
        return Images(np.stack(changed), self.labels, files=files, fit=self.fit)

    def followed_by(self, other: Images) -> Images:
        """Return these images and then those of ``other``, of the same source and with as much known of them."""

        def both(one: npt.NDArray[U] | None, two: npt.NDArray[U] | None) -> npt.NDArray[U] | None:
            return None if one is None or two is None else np.concatenate([one, two])

        files = self.files.followed_by(other.files) if self.files is not None and other.files is not None else None
        return replace(
            self,
            pixels=both(self.pixels, other.pixels),
            labels=np.concatenate([self.labels, other.labels]),
            features=both(self.features, other.features),
            files=files,
            seconds=self.seconds + other.seconds,
        )

    def map_pictures(self, function: Callable[[Image.Image, bytes], T], least: int) -> tuple[list[T], list[str]]:
        """Return the function's result for each picture, of mode L or RGB, and its digest; files are decoded for it.

        And a line about each file that cannot be read.

        least: pixels of the shorter side that are enough
        """
        if self.files is not None:
            return self.files.map_pictures(function, least)
        pairs = zip(self.images, self.digests, strict=True)
        return [function(as_picture(image), digest.tobytes()) for image, digest in pairs], []

    def __getitem__(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_] | slice) -> Images:
        """Return the images and labels at these indices."""
        return Images(
            None if self.pixels is None else self.pixels[index],
            self.labels[index],
            None if self.features is None else self.features[index],
            None if self.files is None else self.files[index],
            self.seen_by,
            self.seconds,
            self.fit,
        )
