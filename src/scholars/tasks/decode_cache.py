"""Decode image files, once: later openings find them in the cache by the content of the files."""

import hashlib
import io
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from scholars.tasks.array_cache import cached_array
from scholars.tasks.decoding import decode_squares
from scholars.tasks.image_files import ImageFiles, unreadable
from scholars.tasks.listing import DecodeOptions
from scholars.tasks.resize import convert_channels

# To be increased with every change of what the same bytes are decoded to.
_DECODER_VERSION = 1
_MAX_DEFAULT_SIZE = 64
# Images decoded at a time: fewer where they are large.
_CHUNK, _CHUNK_BYTES = 1024, 2**25


def decode_all(files: ImageFiles, options: DecodeOptions) -> npt.NDArray[np.uint8]:
    """Return the images of all files ``[N, C, S, S]``, memory-mapped.

    Raises InputError, listing them, for those that cannot be read.
    """
    size = options.size or min(_MAX_DEFAULT_SIZE, *files.sides.tolist())
    names = [transform.name for transform in files.transforms]
    cache_key = hashlib.sha256(repr((_DECODER_VERSION, options.channels, size, options.fit, *names)).encode())
    cache_key.update(files.digests.tobytes())
    return cached_array(
        cache_key.hexdigest(),
        len(files),
        files.where,
        lambda path: _decode(files, options, size, path),
        files.folder_names,
    )


def _decode(files: ImageFiles, options: DecodeOptions, size: int, path: Path) -> None:
    """Decode the images of all files into an ``.npy`` file ``[N, C, size, size]``.

    By ordinary writes: one to a memory-mapped file would kill the process if the disk is full.
    """
    channels = options.channels or 1
    chunk = min(_CHUNK, max(16, _CHUNK_BYTES // (3 * size**2)))
    bad: list[str] = []
    count, written = len(files), 0
    file = _create(path, (count, channels, size, size))
    try:
        for start in range(0, count, chunk):
            keys = files.keys[start : start + chunk]
            results = decode_squares(files.read, keys, size, options.fit, files.transforms)
            bad += [f"  {key}: {why}" for key, why in zip(keys, results, strict=True) if isinstance(why, str)]
            squares = [square for square in results if not isinstance(square, str)]
            if options.channels is None and channels == 1 and any(len(square) == 3 for square in squares):
                channels = 3
                file.close()
                file = _convert_to_rgb(path, count, size, written, chunk)
            for square in squares:
                file.write(convert_channels(square, channels).tobytes())
            written += len(squares)
            options.on_progress(min(start + chunk, count), count)
    finally:
        file.close()
    if bad:
        raise unreadable(files.where, bad, count)


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
