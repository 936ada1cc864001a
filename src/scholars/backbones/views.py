"""Views of a photograph: the plain one, and augmented ones, which are cropped and mirrored."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from scholars.compute.device import derive_seed
from scholars.settings import Fit
from scholars.tasks.decoding import map_files, open_upright
from scholars.tasks.image_files import unreadable
from scholars.tasks.images import Images
from scholars.tasks.resize import ImageLike, as_picture, check_images
from scholars.tasks.squares import Box, Interpolation, fit_square, least_side

# Share of the photograph's area that a crop shows, and its proportions (Szegedy et al. 2015; there from 0.08 on, which
# suits the training of a network from scratch: what is kept here must still show what the photograph shows).
_AREA, _ASPECT = (0.35, 1.0), (3 / 4, 4 / 3)


def draw_views(
    picture: Image.Image, digest: bytes, views: int, size: int, interpolation: Interpolation, fit: Fit
) -> npt.NDArray[np.uint8]:
    """Return the plain view of a picture and ``views`` augmented ones, ``[1 + views, 3, size, size]``.

    The plain view is the picture as a square (see `fit_square`). An augmented one is a crop of what the plain one
    shows, as a square in the same way, or its mirror image; which crop follows from the digest and the view's number.

    digest: SHA-256 of the picture's file or pixels
    """
    picture = picture.convert("RGB")
    drawn = [np.asarray(fit_square(picture, size, interpolation, fit))]
    for number in range(1, 1 + views):
        rng = np.random.default_rng(derive_seed(int.from_bytes(digest[:8]), "view", number))
        view = np.asarray(fit_square(picture, size, interpolation, fit, _crop(picture.size, fit, rng)))
        drawn.append(view[:, ::-1] if rng.random() < 0.5 else view)
    return np.ascontiguousarray(np.stack(drawn).transpose(0, 3, 1, 2))


def _crop(shape: tuple[int, int], fit: Fit, rng: np.random.Generator) -> Box:
    """Draw a crop of what the square of a picture ``(width, height)`` shows: the square around its centre, or all."""
    sides = (min(shape), min(shape)) if fit == "crop" else shape
    area, aspect = rng.uniform(*_AREA), math.exp(rng.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
    # Proportions are counted in the square.
    width, height = (
        min(side, side * math.sqrt(area * ratio)) for side, ratio in zip(sides, (aspect, 1 / aspect), strict=True)
    )
    left = (shape[0] - sides[0]) / 2 + rng.uniform(0, sides[0] - width)
    top = (shape[1] - sides[1]) / 2 + rng.uniform(0, sides[1] - height)
    return left, top, left + width, top + height


def squares(images: Images, size: int, interpolation: Interpolation, fit: Fit) -> npt.NDArray[np.uint8]:
    """Return the plain views ``[N, 3, size, size]`` of all images. Raises InputError for unreadable files."""
    drawn, bad = images.map_pictures(
        lambda picture, digest: draw_views(picture, digest, 0, size, interpolation, fit), least_side(size)
    )
    if bad:
        raise unreadable(images.files.where if images.files is not None else "the images", bad, len(images))
    return _joined(drawn, size)


def decode_plain_views(
    read: Callable[[str], bytes], keys: Sequence[str], size: int, interpolation: Interpolation, fit: Fit
) -> list[npt.NDArray[np.uint8] | str]:
    """Return the plain view ``[3, size, size]`` of the image in each file, or why it cannot be read; in threads.

    read: key -> bytes of the file
    """

    def draw(content: bytes) -> npt.NDArray[np.uint8]:
        (view,) = draw_views(open_upright(content, least_side(size)), b"", 0, size, interpolation, fit)
        return np.asarray(view)

    return map_files(read, keys, draw)


def convert_squares(images: ImageLike, size: int, interpolation: Interpolation, fit: Fit) -> npt.NDArray[np.uint8]:
    """Return the plain views ``[N, 3, size, size]`` of an array, a tensor or PIL images. Raises InputError."""
    checked = check_images(images)
    pictures = checked if isinstance(checked, list) else map(as_picture, checked)
    return _joined([draw_views(picture, b"", 0, size, interpolation, fit) for picture in pictures], size)


def _joined(drawn: Sequence[npt.NDArray[np.uint8]], size: int) -> npt.NDArray[np.uint8]:
    return np.concatenate(drawn) if drawn else np.empty((0, 3, size, size), np.uint8)
