"""Bring images of any kind to the shape ``[N, C, S, S]`` that a scholar has."""

import os
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from scholars.errors import InputError
from scholars.settings import Fit
from scholars.tasks.decoding import upright
from scholars.tasks.squares import as_square, padded_sides

# Images as people have them: see `Scholar.predict_proba`.
ImageLike = npt.NDArray[np.uint8] | Tensor | Sequence[Image.Image]
# Images at a time: the temporary float copies stay small whatever the size of the data set.
CHUNK = 4096


def resize_images(images: npt.NDArray[np.uint8], channels: int, size: int, fit: Fit = "crop") -> npt.NDArray[np.uint8]:
    """Return uint8 images ``[N, C, H, W]`` as ``[N, channels, size, size]``; see `Task.resized`.

    fit: of squares it does not matter
    """
    if images.shape[1:] == (channels, size, size):
        return images
    if images.shape[2:] == (size, size) and images.shape[1] == 1:
        return images.repeat(channels, axis=1)
    from torchvision.transforms.v2 import functional as vision

    out = np.empty((len(images), channels, size, size), dtype=np.uint8)
    for start in range(0, len(images), CHUNK):
        # torch warns of arrays that it could not write to, such as Pillow's.
        chunk = torch.from_numpy(np.require(images[start : start + CHUNK], requirements=["C", "W"]))
        if chunk.shape[1] == 3 and channels == 1:
            chunk = vision.rgb_to_grayscale(chunk)
        if tuple(chunk.shape[2:]) != (size, size):
            chunk = _fit_squares(chunk, size, fit)
        out[start : start + CHUNK] = chunk.expand(-1, channels, -1, -1).numpy()
    return out


def _fit_squares(images: Tensor, size: int, fit: Fit) -> Tensor:
    """Return uint8 images ``[N, C, H, W]`` as ``[N, C, size, size]``; see `fit_square`."""
    from torchvision.transforms.v2 import functional as vision

    if fit == "crop":
        cropped: Tensor = vision.center_crop(vision.resize(images, [size], antialias=True), [size, size])
        return cropped
    width, height = (size, size) if fit == "stretch" else padded_sides(images.shape[3], images.shape[2], size)
    left, top = (size - width) // 2, (size - height) // 2
    inner = vision.resize(images, [height, width], antialias=True)
    padded: Tensor = vision.pad(inner, [left, top, size - width - left, size - height - top], fill=0)
    return padded


def convert_channels(square: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
    """Return one image ``[1 or 3, S, S]`` as ``[channels, S, S]``."""
    converted: npt.NDArray[np.uint8] = resize_images(square[np.newaxis], channels, square.shape[1])[0]
    return converted


def convert_images(images: ImageLike, channels: int, size: int, fit: Fit) -> npt.NDArray[np.uint8]:
    """Return an array, a tensor or PIL images as uint8 ``[N, channels, size, size]``; see `Task.resized`.

    PIL images become what their files would. Raises InputError for anything else, and for images that cannot be read.
    """
    checked = check_images(images)
    if isinstance(checked, np.ndarray):
        return resize_images(checked, channels, size, fit)
    out = np.empty((len(checked), channels, size, size), dtype=np.uint8)
    for index, picture in enumerate(checked):
        out[index] = convert_channels(as_square(picture, size, fit), channels)
    return out


def check_images(images: ImageLike) -> npt.NDArray[np.uint8] | list[Image.Image]:
    """Return images as an array ``[N, C, H, W]`` uint8, or as pictures, upright, of mode L or RGB.

    Raises InputError for anything else, and for images that cannot be read.
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
            hint = ": give images.transpose(0, 3, 1, 2)" if images.ndim == 4 and images.shape[3] in (1, 3) else ""
            raise InputError(
                f"images must be uint8 [B, C, H, W] with 1 or 3 channels, got {images.dtype} {list(images.shape)}{hint}"
            )
        return images
    pictures = []
    for index, image in enumerate(images):
        if not isinstance(image, Image.Image):
            raise InputError(f"image {index}: is a {type(image).__name__}, not a PIL image: open it by PIL.Image.open")
        try:
            pictures.append(upright(image))
        except (OSError, ValueError) as error:
            raise InputError(f"image {index}: {error}") from None
    return pictures


def as_picture(image: npt.NDArray[np.uint8]) -> Image.Image:
    """Return an image ``[1 or 3, H, W]`` as a picture of mode L or RGB."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def as_array(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Return a picture of mode L or RGB as ``[1 or 3, H, W]``."""
    pixels = np.asarray(picture)
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def as_tensor(array: npt.NDArray[np.uint8] | npt.NDArray[np.int64] | npt.NDArray[np.float16]) -> Tensor:
    """Return an array as a tensor over the same memory, which may be a file's: it must not be written to.

    Over a copy if the array is a view that runs backwards, as of mirrored images: torch has no negative strides.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array if min(array.strides, default=0) >= 0 else array.copy())
