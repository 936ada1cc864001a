"""From the bytes of an image file to a square of pixels, whatever people saved it as."""

from __future__ import annotations

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
from PIL import Image, ImageOps, UnidentifiedImageError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

# Only these of Pillow's readers: some of the others start programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")

T = TypeVar("T")
_AT_A_TIME = 64
_SMALL = 8192  # bytes
# Bytes of one image file. What it is decoded to is bounded by Pillow: 89 million pixels.
MOST_OF_A_FILE = 2**28


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What is known of a file before it is decoded.

    side: pixels of the shorter side
    digest: SHA-256 of the content
    """

    side: int
    digest: bytes


def glimpses(read: Callable[[str], bytes], places: Sequence[str]) -> list[Glimpse | str]:
    """What each place holds, or why it cannot be an image."""
    return _each(read, places, _glimpse)


def squares(read: Callable[[str], bytes], places: Sequence[str], size: int) -> list[npt.NDArray[np.uint8] | str]:
    """Each place's picture as ``[1, S, S]`` (grey) or ``[3, S, S]`` with S = ``size``, or why it cannot be read.

    The shorter side is scaled (bilinear, antialiased), the longer one cropped around its centre.
    """
    return _each(read, places, lambda content: _square_of(content, size))


def file_bytes(place: str) -> bytes:
    """The content of a file of `MOST_OF_A_FILE` bytes at most. Raises OSError."""
    path = Path(place)
    if not path.is_file():
        raise OSError("is no file, or a link that leads nowhere")
    if path.stat().st_size > MOST_OF_A_FILE:
        raise OSError(f"is larger than {MOST_OF_A_FILE >> 20} MiB")
    return path.read_bytes()


def _each(read: Callable[[str], bytes], places: Sequence[str], work: Callable[[bytes], T]) -> list[T | str]:
    """The work on what is at each place, or what was wrong there.

    By threads, for Pillow decodes outside the interpreter's lock; but small files by one, for which waiting for the
    lock takes longer than decoding does (32 x 32: 6,800 a second by one thread, 3,000 by two).
    """
    first = _tried(read, places[0], len) if places else 0
    small = isinstance(first, int) and first <= _SMALL
    parts = [places[start : start + _AT_A_TIME] for start in range(0, len(places), _AT_A_TIME)]
    with _strict_about_bombs(), ThreadPoolExecutor(1 if small else os.cpu_count()) as pool:
        done = pool.map(lambda part: [_tried(read, place, work) for place in part], parts)
        return [result for part in done for result in part]


@contextmanager
def _strict_about_bombs() -> Iterator[None]:
    """Pillow warns of what it then copes with, or raises an error for.

    Only of an image of up to twice the size that it calls a decompression bomb it does no more than warn.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _tried(read: Callable[[str], bytes], place: str, work: Callable[[bytes], T]) -> T | str:
    """The work on what is read, or what was wrong in one line."""
    content = b""
    try:
        content = read(place)
        return work(content)
    except UnidentifiedImageError:
        return f"is no image in one of the formats {', '.join(_FORMATS)}" if content else "is empty"
    except Exception as error:  # Pillow's readers raise whatever the damage leads to
        return " ".join(str(error).split()) or type(error).__name__


def _glimpse(content: bytes) -> Glimpse:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
        return Glimpse(min(opened.size), hashlib.sha256(content).digest())


def _square_of(content: bytes, size: int) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
        return square(opened, size)


def square(picture: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """A picture, turned as its camera was held, as ``[1, S, S]`` (grey) or ``[3, S, S]``; see `squares`.

    Raises ValueError where the range of its values is not known, or where it has no pixel.
    """
    image = _eight_bits(ImageOps.exif_transpose(picture))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))
    # Grey stored as colour is grey. WebP, which knows no grey, brings it back with channels that differ by 1.
    if pixels.ndim == 3 and _is_grey(pixels.astype(np.int16)):
        pixels = pixels[..., 1]
    return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _is_grey(pixels: npt.NDArray[np.int16]) -> bool:
    """Whether the channels of ``[H, W, 3]`` differ by 1 at most."""
    return all(np.abs(pixels[..., a] - pixels[..., b]).max() <= 1 for a, b in ((0, 1), (1, 2), (0, 2)))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as L (grey) or RGB. Raises ValueError where the range of the values is not known.

    What is transparent is laid over white: its own colour is arbitrary, often black, and white is the paper that most
    viewers and documents show behind it. More than 8 bits are scaled by what the type can hold, not by the values of
    each image: a dark image stays dark.
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
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
