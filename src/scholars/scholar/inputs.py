"""Bring images to the shape that a scholar has or, with a backbone, let that look at them."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from scholars.backbones import Backbone, look_at, seen_by
from scholars.backbones.views import convert_squares, decode_plain_views, squares
from scholars.errors import InputError
from scholars.settings import ImageSettings
from scholars.tasks.decoding import decode_squares
from scholars.tasks.images import Images
from scholars.tasks.resize import ImageLike, as_tensor, convert_channels, convert_images


def convert(images: ImageLike, shape: ImageSettings, backbone: Backbone | None) -> Tensor:
    """Return an array, a tensor or PIL images as uint8 ``[N, C, S, S]``, resized as the backbone wants it.

    Raises InputError for anything else, and for images that cannot be read.
    """
    if backbone:
        return as_tensor(convert_squares(images, shape.size, backbone.record.interpolation, shape.fit))
    return as_tensor(convert_images(images, shape.channels, shape.size, shape.fit))


def decode(
    read: Callable[[str], bytes], keys: Sequence[str], shape: ImageSettings, backbone: Backbone | None
) -> list[npt.NDArray[np.uint8] | str]:
    """Return the image in each file as ``[C, S, S]`` uint8, or why it cannot be read.

    read: key -> bytes of the file
    """
    if backbone:
        return decode_plain_views(read, keys, shape.size, backbone.record.interpolation, shape.fit)
    squares = decode_squares(read, keys, shape.size, shape.fit)
    return [each if isinstance(each, str) else convert_channels(each, shape.channels) for each in squares]


def show(images: Images, shape: ImageSettings, backbone: Backbone | None) -> Tensor:
    """Return a few of a task's images in this shape, uint8 ``[N, C, S, S]``, in memory."""
    if backbone:
        return as_tensor(squares(images, shape.size, backbone.record.interpolation, shape.fit))
    return images.resized(shape.channels, shape.size, shape.fit).tensor


def see(images: Images, shape: ImageSettings, backbone: Backbone | None) -> Images:
    """Return a task's images in this shape or, with a backbone, with the features of their plain view; see `seen`."""
    if backbone is None:
        return images.resized(shape.channels, shape.size, shape.fit)
    if images.features is None:
        return look_at(images, backbone, 0, shape.fit, keep=False)
    if images.seen_by != seen_by(backbone, shape.fit):
        raise InputError(
            f"these features are of another backbone than this scholar's, {backbone.record.name} with "
            f"image.fit={shape.fit}"
        )
    return images
