"""Images as people have them, brought to the one shape that a scholar has."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from scholars.errors import InputError
from scholars.tasks.pictures import square

N = TypeVar("N", bound=np.generic)

# Resizing in pieces keeps the temporary float copies small whatever the size of the data set.
CHUNK = 4096


def forward(values: npt.NDArray[N]) -> npt.NDArray[N]:
    """The same values as an array that torch can take: not a view that runs backwards, as of mirrored images."""
    return values if min(values.strides, default=0) >= 0 else values.copy()


def fit_images(images: npt.NDArray[np.uint8], channels: int, size: int) -> npt.NDArray[np.uint8]:
    """Bring ``[N, C, H, W]`` uint8 images to ``[N, channels, size, size]``; see `Task.resized`."""
    if images.shape[1:] == (channels, size, size):
        return images
    if images.shape[2:] == (size, size) and images.shape[1] == 1:
        return images.repeat(channels, axis=1)
    from torchvision.transforms.v2 import functional as vision

    out = np.empty((len(images), channels, size, size), dtype=np.uint8)
    for start in range(0, len(images), CHUNK):
        # torch warns about arrays it could not write to, such as those that Pillow lends.
        chunk = torch.from_numpy(np.require(images[start : start + CHUNK], requirements=["C", "W"]))
        if chunk.shape[1] == 3 and channels == 1:
            chunk = vision.rgb_to_grayscale(chunk)
        if tuple(chunk.shape[2:]) != (size, size):
            chunk = vision.center_crop(vision.resize(chunk, [size], antialias=True), [size, size])
        out[start : start + CHUNK] = chunk.expand(-1, channels, -1, -1).numpy()
    return out


def as_tensor(images: npt.NDArray[np.uint8]) -> Tensor:
    """The array as a tensor over the same memory, which may be a file's: not to be written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(images)


def as_array(
    images: npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image], channels: int, size: int
) -> npt.NDArray[np.uint8]:
    """Images as people have them as ``[N, channels, size, size]`` uint8; pictures become what their files would.

    Raises InputError for other arrays, and for pictures that cannot be read.
    """
    if isinstance(images, Image.Image | str | os.PathLike):
        raise InputError(
            f"images are an array, a tensor or a list of PIL images, not a {type(images).__name__}: put a picture into "
            "a list, and open a file by PIL.Image.open, or name it to `scholars predict`"
        )
    if isinstance(images, Tensor):
        images = images.cpu().numpy()
    if isinstance(images, np.ndarray):
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            turn = ": give images.transpose(0, 3, 1, 2)" if images.ndim == 4 and images.shape[3] in (1, 3) else ""
            raise InputError(
                f"images must be uint8 [B, C, H, W] with 1 or 3 channels, got {images.dtype} {list(images.shape)}{turn}"
            )
        return fit_images(forward(images), channels, size)
    out = np.empty((len(images), channels, size, size), dtype=np.uint8)
    for place, image in enumerate(images):
        if not isinstance(image, Image.Image):
            raise InputError(f"image {place}: is a {type(image).__name__}, not a PIL image: open it by PIL.Image.open")
        try:
            out[place] = in_channels(square(image, size), channels)
        except (OSError, ValueError) as error:
            raise InputError(f"image {place}: {error}") from None
    return out


def in_channels(square: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """One square ``[1 or 3, S, S]`` as ``[channels, S, S]``, as `Task.resized` does it."""
    fitted: npt.NDArray[np.uint8] = fit_images(square[np.newaxis], channels, square.shape[1])[0]
    return fitted
