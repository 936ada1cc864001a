"""Decode the images of a listing, once: later openings find them in the cache by the content of the files."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from scholars.errors import InputError, shortlist
from scholars.tasks.array_cache import cached_array
from scholars.tasks.decoding import decode_squares, read_headers
from scholars.tasks.holdout import choose_test_images, warn_about_duplicates
from scholars.tasks.listing import DecodeOptions, ImageListing
from scholars.tasks.resize import convert_channels
from scholars.tasks.task import Images, Task

# To be increased with every change of what the same bytes are decoded to.
_DECODER_VERSION = 1
_MAX_DEFAULT_SIZE = 64
# Images decoded at a time: fewer where they are large.
_CHUNK, _CHUNK_BYTES = 1024, 2**25


def load_listing(listing: ImageListing, options: DecodeOptions) -> Task:
    """Return the task of a listing, its images memory-mapped. Raises InputError, listing them, for unreadable ones."""
    results = read_headers(listing.read, listing.keys)
    _check_readable(listing, {key: why for key, why in zip(listing.keys, results, strict=True) if isinstance(why, str)})
    headers = [header for header in results if not isinstance(header, str)]
    digests = [header.digest for header in headers]
    is_test = choose_test_images(listing, digests)
    warn_about_duplicates(listing, digests, is_test)
    size = options.size or min(_MAX_DEFAULT_SIZE, *(header.side for header in headers))
    # By content within each part: what files are called changes nothing, and is not decoded again.
    order = sorted(range(len(headers)), key=lambda index: (bool(is_test[index]), digests[index]))
    cache_key = hashlib.sha256(repr((_DECODER_VERSION, options.channels, size)).encode())
    for index in order:
        cache_key.update(digests[index])
    keys = [listing.keys[index] for index in order]
    images = cached_array(
        cache_key.hexdigest(), len(keys), listing.where, lambda path: _decode(listing, keys, options, size, path)
    )
    everything = Images(images, listing.labels[order])
    train_count = int((~is_test).sum())
    return Task(listing.name, listing.classes, everything[:train_count], everything[train_count:])


def _decode(listing: ImageListing, keys: Sequence[str], options: DecodeOptions, size: int, path: Path) -> None:
    """Decode the images of ``keys`` into an ``.npy`` file ``[N, C, size, size]``.

    By ordinary writes: one to a memory-mapped file would kill the process if the disk is full.
    """
    channels = options.channels or 1
    chunk = min(_CHUNK, max(16, _CHUNK_BYTES // (3 * size**2)))
    unreadable: dict[str, str] = {}
    written = 0
    file = _create(path, (len(keys), channels, size, size))
    try:
        for start in range(0, len(keys), chunk):
            some = keys[start : start + chunk]
            results = decode_squares(listing.read, some, size)
            unreadable |= {key: why for key, why in zip(some, results, strict=True) if isinstance(why, str)}
            squares = [square for square in results if not isinstance(square, str)]
            if options.channels is None and channels == 1 and any(len(square) == 3 for square in squares):
                channels = 3
                file.close()
                file = _convert_to_rgb(path, len(keys), size, written, chunk)
            for square in squares:
                file.write(convert_channels(square, channels).tobytes())
            written += len(squares)
            options.on_progress(min(start + chunk, len(keys)), len(keys))
    finally:
        file.close()
    _check_readable(listing, unreadable)


def _create(path: Path, shape: tuple[int, ...]) -> IO[bytes]:
    """Return a new ``.npy`` file of uint8 values, open to write them."""
    file = path.open("wb")
    file.write(_npy_header(shape))
    return file


def _npy_header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_2_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _convert_to_rgb(path: Path, count: int, size: int, written: int, chunk: int) -> IO[bytes]:
    """Write anew, with three channels, the grey images that ``path`` holds so far; return it open to go on."""
    grey = path.rename(path.with_name("grey.npy"))
    with grey.open("rb") as before:
        before.seek(len(_npy_header((count, 1, size, size))))
        file = _create(path, (count, 3, size, size))
        for start in range(0, written, chunk):
            images = np.fromfile(before, dtype=np.uint8, count=min(chunk, written - start) * size**2)
            file.write(images.reshape(-1, 1, size**2).repeat(3, axis=1).tobytes())
    grey.unlink()
    return file


def _check_readable(listing: ImageListing, unreadable: Mapping[str, str]) -> None:
    """Raise InputError if any image cannot be read, with the key and the reason of each."""
    if unreadable:
        lines = shortlist([f"  {key}: {reason}" for key, reason in unreadable.items()], "\n")
        raise InputError(
            f"{listing.where}: {len(unreadable)} of {len(listing.keys)} images cannot be read; replace or remove:\n"
            f"{lines}"
        )
