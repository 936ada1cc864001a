"""Transforms of pictures, by which one data set becomes others: the same classes in another domain."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PIL import Image, ImageFilter, ImageOps


class Transform(NamedTuple):
    """A transform of pictures.

    name: equal for equal transforms only; what was computed from transformed pictures is kept under it
    apply: takes and returns a picture of mode L or RGB
    """

    name: str
    apply: Callable[[Image.Image], Image.Image]


def invert() -> Transform:
    """Swap dark and bright."""
    return Transform("invert", ImageOps.invert)


def rotate(degrees: float) -> Transform:
    """Rotate counter-clockwise about the centre, the new corners black."""
    return Transform(f"rotate {float(degrees)!r}", partial(_rotate, degrees))


def grey() -> Transform:
    """Remove the colours."""
    return Transform("grey", ImageOps.grayscale)


def edges() -> Transform:
    """Draw the edges as dark lines on white, as a pencil would."""
    return Transform("edges", _edges)


def blur(share: float) -> Transform:
    """Blur by a Gaussian whose standard deviation is this share of the shorter side."""
    return Transform(f"blur {float(share)!r}", partial(_blur, share))


def _rotate(degrees: float, picture: Image.Image) -> Image.Image:
    return picture.rotate(degrees, Image.Resampling.BILINEAR)


# Of the shorter side: fine grain, which is not the edge of anything.
_GRAIN = 1 / 128


def _edges(picture: Image.Image) -> Image.Image:
    smooth = _blur(_GRAIN, ImageOps.grayscale(picture))
    # The filter leaves the outermost pixels as they are.
    found = ImageOps.expand(ImageOps.crop(smooth.filter(ImageFilter.FIND_EDGES), 1), 1)
    return ImageOps.invert(ImageOps.autocontrast(found))


def _blur(share: float, picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(share * min(picture.size)))
