"""From the bytes of an image file to a square of pixels, in whatever format and mode it was saved."""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from scholars.errors import one_line
from scholars.settings import Fit
from scholars.tasks.image_formats import image_formats
from scholars.tasks.near_duplicates import LEAST_SIDE, fingerprint
from scholars.tasks.squares import as_square, cropped_share, least_side
from scholars.tasks.transforms import Transform

# Bytes of one image file.
MAX_FILE_BYTES = 2**28
# Pixels of a JPEG, which can be decoded at a fraction of its size: panoramas and the largest cameras have 200 million.
# What any image is decoded to is bounded by Pillow: 89 million.
_MAX_JPEG_PIXELS = 400_000_000
# How a JPEG begins.
_JPEG = b"\xff\xd8\xff"
# How the files begin that git-annex and Git LFS leave in the place of images that were not fetched.
_POINTERS = (b"/annex/objects/", b"version https://git-lfs")
# Files up to this many bytes are decoded by one thread, larger ones by several; each takes so many files at a time.
_SMALL_FILE_BYTES, _FILES_PER_JOB = 8192, 64

T = TypeVar("T")
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """The header of an image file: what is known before its pixels are decoded.

    side: pixels of the shorter side
    size: bytes of the file
    digest: SHA-256 of the file
    cropped: the share of the longer side, in [0, 1), that is outside of the square around the centre
    fingerprint: what near-duplicates are found by; None of a picture too small for it
    """

    side: int
    size: int
    digest: bytes
    cropped: float
    fingerprint: npt.NDArray[np.uint8] | None


def read_headers(
    read: Callable[[str], bytes],
    keys: Sequence[str],
    check: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> list[ImageHeader | str]:
    """Return the header of each image file, or why it cannot be read; photographs are decoded for it.

    read: key -> bytes of the file
    check: whether small pictures are decoded, too: damage shows only then
    on_progress: called with (files read, all files)
    """

    def read_header(content: bytes) -> ImageHeader:
        with _open(content) as image:
            # Before EXIF turns it: a quarter turn changes neither.
            side, cropped = min(image.size), cropped_share(*image.size)
        found = None
        if side >= LEAST_SIDE:
            found = fingerprint(open_upright(content, LEAST_SIDE))
        elif check:
            open_upright(content)
        return ImageHeader(side, len(content), hashlib.sha256(content).digest(), cropped, found)

    return map_files(read, keys, read_header, on_progress)


def decode_squares(
    read: Callable[[str], bytes],
    keys: Sequence[str],
    size: int,
    fit: Fit,
    transforms: Sequence[Transform] = (),
) -> list[npt.NDArray[np.uint8] | str]:
    """Return each image as ``[1, S, S]`` (grey) or ``[3, S, S]`` with S = ``size``, or why it cannot be read.

    It is scaled (bilinear, antialiased) after it was cropped, or as a whole; see `fit_square`.

    read: key -> bytes of the file
    transforms: applied before, in this order
    """

    least = None if transforms else least_side(size)

    def decode(content: bytes) -> npt.NDArray[np.uint8]:
        picture = open_upright(content, least)
        for transform in transforms:
            picture = transform.apply(picture)
        return as_square(picture, size, fit)

    return map_files(read, keys, decode)


def read_file(path: str) -> bytes:
    """Return the content of a file of at most `MAX_FILE_BYTES` bytes. Raises OSError."""
    file = Path(path)
    if not file.is_file():
        lost = file.is_symlink() and not file.exists()
        raise OSError(
            "is a link that leads nowhere: git annex get or dvc pull fetches what it leads to" if lost else "is no file"
        )
    if file.stat().st_size > MAX_FILE_BYTES:
        raise OSError(f"is larger than {MAX_FILE_BYTES >> 20} MiB")
    return file.read_bytes()


def open_upright(content: bytes, least: int | None = None) -> Image.Image:
    """Return the picture in the bytes of a file, upright by its EXIF, of mode L or RGB.

    least: pixels of the shorter side that are enough: a larger JPEG is decoded at a half, a quarter or an eighth of its
        size, in less time and memory; None: at its own

    Raises what Pillow raises for a file that it cannot read, ValueError if the range of its values is not known.
    """
    with _open(content, least) as image:
        return upright(image)


def upright(image: Image.Image) -> Image.Image:
    """Return a picture, upright by its EXIF, as one of mode L or RGB.

    Raises ValueError for values of unknown range, DecompressionBombError for more pixels than Pillow's limit.
    """
    _check_pixels(image, Image.MAX_IMAGE_PIXELS)
    return _to_8_bits(ImageOps.exif_transpose(image))


def map_files(
    read: Callable[[str], bytes],
    keys: Sequence[str],
    function: Callable[[bytes], T],
    on_progress: OnProgress = lambda done, total: None,
) -> list[T | str]:
    """Apply a function to the content of each file; return its results, or what went wrong.

    In threads, for Pillow decodes outside the interpreter's lock; but small files in one, for which waiting for the
    lock takes longer than decoding does (32 x 32: 6,800 a second by one thread, 3,000 by two).
    """
    first = _try(read, keys[0], len) if keys else 0
    small = isinstance(first, int) and first <= _SMALL_FILE_BYTES
    jobs = [keys[start : start + _FILES_PER_JOB] for start in range(0, len(keys), _FILES_PER_JOB)]
    with _bombs_are_errors(), ThreadPoolExecutor(1 if small else os.cpu_count()) as pool:
        done = pool.map(lambda job: [_try(read, key, function) for key in job], jobs)
        results: list[T | str] = []
        for job in done:
            results += job
            on_progress(len(results), len(keys))
        return results


@contextmanager
def _bombs_are_errors() -> Iterator[None]:
    """Silence Pillow's warnings, and turn the one of a decompression bomb into an error.

    Pillow itself raises an error only for images of twice the size that it warns of.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _try(read: Callable[[str], bytes], key: str, function: Callable[[bytes], T]) -> T | str:
    """Return the function's result for the content of a file, or in one line what went wrong."""
    content = b""
    try:
        content = read(key)
        return function(content)
    except UnidentifiedImageError:
        if content.startswith(_POINTERS):
            return "stands for an image that was not fetched: git annex get or git lfs pull does"
        return f"is no image in one of the formats {', '.join(image_formats())}" if content else "is empty"
    except Exception as error:  # Pillow's readers raise whatever the damage leads to
        return one_line(error)


def _open(content: bytes, least: int | None = None) -> Image.Image:
    if not content.startswith(_JPEG):
        return Image.open(io.BytesIO(content), formats=tuple(image_formats()))
    # `Image.open` refuses by the size that is saved, before a smaller one can be asked for.
    try:
        image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    except Exception as error:  # whatever the damage of its header leads to
        raise UnidentifiedImageError from error
    # Of a progressive one all coefficients are kept, whatever is asked for: six bytes a pixel.
    progressive = "progressive" in image.info
    _check_pixels(image, Image.MAX_IMAGE_PIXELS if progressive else _MAX_JPEG_PIXELS)
    if least is not None:
        image.draft(None, (least, least))
    return image


def _check_pixels(image: Image.Image, most: int | None) -> None:
    """Raise DecompressionBombError for an image of more pixels."""
    if most is not None and image.width * image.height > most:
        raise Image.DecompressionBombError(f"has {image.width:,} x {image.height:,} pixels, more than {most:,}")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Return an image of any mode as L (grey) or RGB. Raises ValueError if the range of its values is not known.

    Transparent pixels are laid over white: their own colour is arbitrary, often black, and most viewers and documents
    show white behind them. More than 8 bits are scaled by what the type can hold, not by the values of each image: a
    dark image stays dark.
    """
    if image.mode.startswith("I"):
        # Pillow holds 16 bits in I;16 or, depending on format and version, in the 32 bits of I.
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65_535:
            raise ValueError(f"has values of {wide.min()} to {wide.max()}, not 16 bits; save it with 8 bits")
        return Image.fromarray(((wide.astype(np.uint32) + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        values = np.asarray(image)
        low, high = float(values.min()), float(values.max())
        if not 0 <= low <= high <= 255:
            raise ValueError(f"has values of {low:g} to {high:g}, neither 0..1 nor 0..255; save it with 8 bits")
        return Image.fromarray((values * (255 if high <= 1 else 1)).round().astype(np.uint8))
    if image.has_transparency_data:
        background = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
