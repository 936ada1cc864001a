"""Make a square of a picture: crop, pad or stretch it; and warn where cropping loses much."""

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from scholars.errors import ScholarsWarning
from scholars.settings import Fit

Interpolation = Literal["bilinear", "bicubic"]
RESAMPLING: Mapping[Interpolation, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# A part of a picture, as Pillow takes it: left, top, right, bottom, in pixels.
Box = tuple[float, float, float, float]
# The share of its longer side that a picture may lose without a warning: the third that photographs of 3:2 lose, and
# what rounding to whole pixels adds to it.
_LOSS = 0.34


def padded_sides(width: float, height: float, size: int) -> tuple[int, int]:
    """Return the width and height, at least 1, of what fits a square of ``size`` pixels a side as a whole."""
    longer = max(width, height)
    return max(1, math.floor(width * size / longer + 0.5)), max(1, math.floor(height * size / longer + 0.5))


def fit_square(
    picture: Image.Image, size: int, interpolation: Interpolation, fit: Fit, box: Box | None = None
) -> Image.Image:
    """Return a picture of mode L or RGB as a square, ``size`` pixels a side.

    fit: crop: the square around its centre is scaled; stretch: both sides are scaled; pad: it is scaled so that it fits
        as a whole, in the middle, and the rest is black
    box: show only this part, of which nothing is cropped away
    """
    method = RESAMPLING[interpolation]
    left, top, right, bottom = box = box or _visible(picture.width, picture.height, fit)
    if fit != "pad":
        return picture.resize((size, size), method, box=box)
    inner = picture.resize(padded_sides(right - left, bottom - top, size), method, box=box)
    square = Image.new(picture.mode, (size, size))
    square.paste(inner, ((size - inner.width) // 2, (size - inner.height) // 2))
    return square


def _visible(width: int, height: int, fit: Fit) -> Box:
    """Return the part of a picture that its square shows."""
    if fit != "crop":
        return 0, 0, width, height
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def as_square(picture: Image.Image, size: int, fit: Fit) -> npt.NDArray[np.uint8]:
    """Return a picture of mode L or RGB as ``[1, S, S]`` (grey) or ``[3, S, S]``, S = ``size``; see `fit_square`."""
    pixels = np.asarray(fit_square(picture, size, "bilinear", fit))
    # Grey saved as colour is grey. WebP, which knows no grey, brings it back with channels that differ by 1.
    if pixels.ndim == 3 and _is_grey(pixels.astype(np.int16)):
        pixels = pixels[..., 1]
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _is_grey(pixels: npt.NDArray[np.int16]) -> bool:
    """Return whether the channels of ``[H, W, 3]`` differ by 1 at most."""
    return all(np.abs(pixels[..., a] - pixels[..., b]).max() <= 1 for a, b in ((0, 1), (1, 2), (0, 2)))


def least_side(size: int) -> int:
    """Return how many pixels of a picture's shorter side are enough for views of ``size`` pixels a side.

    Twice as many: a view may show a part of the picture, and what is made smaller by half looks as if by all.
    """
    return 2 * size


def cropped_share(width: int, height: int) -> float:
    """Return the share of a picture's longer side, in [0, 1), that is outside of the square around its centre."""
    return 1 - min(width, height) / max(width, height)


def warn_about_cropping(where: Path | str, shares: Sequence[float], fit: Fit) -> None:
    """Warn where images are cropped and most of them lose more than a third of their longer side.

    where: the file, folder or name of the data set
    shares: `cropped_share` of each image
    """
    losing = sum(share > _LOSS for share in shares)
    if fit == "crop" and 2 * losing > len(shares):
        warnings.warn(
            f"{where}: {losing:,} of {len(shares):,} images lose more than a third of their longer side, for only the "
            "square around the centre is looked at (image.fit=crop). To keep what is at the edges, let a scholar's "
            "first task set image.fit=pad (the whole image, with black beside it) or image.fit=stretch (the whole "
            "image, both sides scaled to the square)",
            ScholarsWarning,
            stacklevel=2,
        )
