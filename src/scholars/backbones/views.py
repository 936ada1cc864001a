"""Views of a photograph: the plain one, and augmented ones, which are cropped and mirrored."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from scholars.compute.device import derive_seed
from scholars.tasks.decoding import RESAMPLING, Interpolation, least_side, map_files, open_upright, resize_square
from scholars.tasks.image_files import unreadable
from scholars.tasks.images import Images
from scholars.tasks.resize import ImageLike, as_picture, check_images

# Share of the photograph's area that a crop shows, and its proportions (Szegedy et al. 2015; there from 0.08 on, which
# suits the training of a network from scratch: what is kept here must still show what the photograph shows).
_AREA, _ASPECT = (0.35, 1.0), (3 / 4, 4 / 3)


def draw_views(
    picture: Image.Image, digest: bytes, views: int, size: int, interpolation: Interpolation
) -> npt.NDArray[np.uint8]:
    """Return the plain view of a picture and ``views`` augmented ones, ``[1 + views, 3, size, size]``.

    The plain view is the square around the centre. What the others show follows from the digest and the number of each.

    digest: SHA-256 of the picture's file or pixels
    """
    picture = picture.convert("RGB")
    drawn = [np.asarray(resize_square(picture, size, interpolation))]
    for number in range(1, 1 + views):
        rng = np.random.default_rng(derive_seed(int.from_bytes(digest[:8]), "view", number))
        box = _crop(picture.size, rng)
        view = np.asarray(picture.resize((size, size), RESAMPLING[interpolation], box=box))
        drawn.append(view[:, ::-1] if rng.random() < 0.5 else view)
    return np.ascontiguousarray(np.stack(drawn).transpose(0, 3, 1, 2))


def _crop(shape: tuple[int, int], rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw a crop of the square around the centre of a picture ``(width, height)``, as Pillow's box."""
    side = min(shape)
    area, aspect = rng.uniform(*_AREA), math.exp(rng.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
    width, height = (min(side, side * math.sqrt(area * ratio)) for ratio in (aspect, 1 / aspect))
    left = (shape[0] - side) / 2 + rng.uniform(0, side - width)
    top = (shape[1] - side) / 2 + rng.uniform(0, side - height)
    return left, top, left + width, top + height


def squares(images: Images, size: int, interpolation: Interpolation) -> npt.NDArray[np.uint8]:
    """Return the plain views ``[N, 3, size, size]`` of all images. Raises InputError for unreadable files."""
    drawn, bad = images.map_pictures(
        lambda picture, digest: draw_views(picture, digest, 0, size, interpolation), least_side(size)
    )
    if bad:
        raise unreadable(images.files.where if images.files is not None else "the images", bad, len(images))
    return _joined(drawn, size)


def decode_plain_views(
    read: Callable[[str], bytes], keys: Sequence[str], size: int, interpolation: Interpolation
) -> list[npt.NDArray[np.uint8] | str]:
    """Return the plain view ``[3, size, size]`` of the image in each file, or why it cannot be read; in threads.

    read: key -> bytes of the file
    """

    def draw(content: bytes) -> npt.NDArray[np.uint8]:
        (view,) = draw_views(open_upright(content, least_side(size)), b"", 0, size, interpolation)
        return np.asarray(view)

    return map_files(read, keys, draw)


def convert_squares(images: ImageLike, size: int, interpolation: Interpolation) -> npt.NDArray[np.uint8]:
    """Return the plain views ``[N, 3, size, size]`` of an array, a tensor or PIL images. Raises InputError."""
    checked = check_images(images)
    pictures = checked if isinstance(checked, list) else map(as_picture, checked)
    return _joined([draw_views(picture, b"", 0, size, interpolation) for picture in pictures], size)


def _joined(drawn: Sequence[npt.NDArray[np.uint8]], size: int) -> npt.NDArray[np.uint8]:
    return np.concatenate(drawn) if drawn else np.empty((0, 3, size, size), np.uint8)
