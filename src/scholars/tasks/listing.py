"""From a list of labelled pictures to a task, decoded once into a memory-mapped array that later openings find again.

Neither memory nor time grows with a data set that was read before: pages of the array are read as images are drawn.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt
import platformdirs
from filelock import FileLock, Timeout

from scholars import store
from scholars.errors import InputError, ScholarsError, shortlist
from scholars.tasks.parts import held_out_of, warn_of_copies
from scholars.tasks.pictures import glimpses, squares
from scholars.tasks.shapes import in_channels
from scholars.tasks.task import Images, Task

T = TypeVar("T")

# Goes up with every change of what the same bytes are decoded to.
_DECODER = 1

_LARGEST_DEFAULT = 64
_CHUNK, _CHUNK_BYTES = 1024, 2**25

# Where a source is being decoded, and the lock there of the process that does it.
_DECODING, _LOCK = ".decoding-", "lock"

# What the cache may hold, in bytes: what was not used for longest goes first.
_MOST_CACHED = 50 * 2**30


@dataclass(frozen=True)
class Listing:
    """Labelled pictures that are not decoded yet.

    name: of the task
    where: the file, folder or name that people know the source by
    classes: class names
    labels: ``[N]``, indices into them
    places: ``[N]``, what ``read`` takes and messages show; first those for training, then those for the test
    read: the bytes of a picture
    trained: how many are for training; None: about 20 % of each class are held out, by their content
    """

    name: str
    where: Path | str
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int64]
    places: Sequence[str]
    read: Callable[[str], bytes]
    trained: int | None = None


@dataclass(frozen=True)
class Form:
    """What pictures are brought to, and who is told how far the work is.

    channels: 1 (grey) or 3 (RGB); None: grey if no picture shows any colour, however it is saved
    size: the side of the squares; None: the shortest side of all the pictures, but at most 64
    on_progress: called with (pictures decoded, all)
    """

    channels: int | None = None
    size: int | None = None
    on_progress: Callable[[int, int], None] = field(default=lambda done, total: None)

    def __post_init__(self) -> None:
        """Refuse an impossible size, with InputError."""
        if self.size is not None and self.size < 1:
            raise InputError(f"size is {self.size}; the side of an image is at least 1 pixel")


def gathered(listing: Listing, form: Form) -> Task:
    """The task that a listing makes. Raises InputError for pictures that cannot be read: it lists them."""
    seen = _all_read(listing, glimpses(listing.read, listing.places))
    digests = [glimpse.digest for glimpse in seen]
    held_out = held_out_of(listing, digests)
    warn_of_copies(listing, digests, held_out)
    # By content within each part: what files are called changes nothing, and is not decoded again.
    order = sorted(range(len(seen)), key=lambda place: (bool(held_out[place]), seen[place].digest))
    size = form.size or min(_LARGEST_DEFAULT, *(glimpse.side for glimpse in seen))
    key = hashlib.sha256(repr((_DECODER, form.channels, size)).encode())
    for place in order:
        key.update(seen[place].digest)
    cached = decoded_pictures() / key.hexdigest()
    images = _mapped(cached, len(order))
    if images is None:
        _decode(listing, order, form, size, cached)
        images = _mapped(cached, len(order))
    if images is None:
        raise ScholarsError(f"{cached}: was removed while it was in use; give the command again")
    _note_use(cached, listing.where)
    _tidy(cached)
    trained = int((~held_out).sum())
    everything = Images(images, listing.labels[order])
    return Task(listing.name, listing.classes, everything[:trained], everything[trained:])


def natural(name: str) -> tuple[list[str | tuple[int, str]], str]:
    """Sorts "2" before "10"; text and numbers alternate, so that like is always compared with like."""
    pieces = re.split(r"([0-9]+)", name.casefold())
    # A number is compared by its length, then digit by digit: Python refuses to read one of thousands of digits.
    numbers = [piece.lstrip("0") for piece in pieces]
    return [(len(numbers[at]), numbers[at]) if at % 2 else piece for at, piece in enumerate(pieces)], name


def _mapped(cached: Path, count: int) -> npt.NDArray[np.uint8] | None:
    """The decoded pictures, if they are there and whole."""
    try:
        images: npt.NDArray[np.uint8] = np.load(cached / "images.npy", mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return images if images.dtype == np.uint8 and images.ndim == 4 and len(images) == count else None


def _decode(listing: Listing, order: Sequence[int], form: Form, size: int, cached: Path) -> None:
    """Decode the pictures in ``order`` into ``cached``, which appears when all are done."""
    try:
        # What people taught is nobody else's business.
        cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent, prefix=_DECODING) as folder:
            work = Path(folder) / "work"
            work.mkdir()
            # The system frees the lock of a process that died; see `_tidy`.
            with FileLock(Path(folder) / _LOCK):
                _write(listing, order, form, size, work)
                _note_use(work, listing.where)
                shutil.rmtree(cached, ignore_errors=True)
                # Another process may have been as quick.
                with contextlib.suppress(OSError):
                    work.rename(cached)
    except OSError as error:
        raise ScholarsError(
            f"decoded pictures cannot be kept in {cached.parent}: {error.strerror or error}; make room, or name "
            "another folder with $SCHOLARS_CACHE"
        ) from error


def _write(listing: Listing, order: Sequence[int], form: Form, size: int, work: Path) -> None:
    """Write ``images.npy``. By ordinary writes: one to a mapped file would kill the process if the disk is full."""
    channels = form.channels or 1
    chunk = min(_CHUNK, max(16, _CHUNK_BYTES // (3 * size**2)))
    bad: dict[str, str] = {}
    written = 0
    file: IO[bytes] = (work / "images.npy").open("wb")
    try:
        _write_header(file, (len(order), channels, size, size))
        for start in range(0, len(order), chunk):
            places = [listing.places[place] for place in order[start : start + chunk]]
            found = squares(listing.read, places, size)
            bad |= {place: square for place, square in zip(places, found, strict=True) if isinstance(square, str)}
            pictures = [square for square in found if not isinstance(square, str)]
            if form.channels is None and channels == 1 and any(len(square) == 3 for square in pictures):
                channels = 3
                file.close()
                file = _coloured(work / "images.npy", (len(order), 3, size, size), written, chunk)
            for square in pictures:
                file.write(in_channels(square, channels).tobytes())
            written += len(pictures)
            form.on_progress(min(start + chunk, len(order)), len(order))
    finally:
        file.close()
    _refuse(listing, bad)


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_2_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _coloured(path: Path, shape: tuple[int, ...], filled: int, chunk: int) -> IO[bytes]:
    """Write anew, with three channels, the grey pictures that ``path`` holds so far; returns it open to go on."""
    grey = path.rename(path.with_name("grey.npy"))
    with grey.open("rb") as before:
        np.lib.format.read_magic(before)
        np.lib.format.read_array_header_2_0(before)
        after = path.open("wb")
        _write_header(after, shape)
        for start in range(0, filled, chunk):
            count = min(chunk, filled - start)
            flat = np.fromfile(before, dtype=np.uint8, count=count * shape[2] * shape[3])
            pictures = flat.reshape(count, 1, *shape[2:])
            after.write(np.broadcast_to(pictures, (count, *shape[1:])).tobytes())
    grey.unlink()
    return after


def _all_read(listing: Listing, results: Sequence[T | str]) -> list[T]:
    _refuse(
        listing,
        {place: result for place, result in zip(listing.places, results, strict=True) if isinstance(result, str)},
    )
    return [result for result in results if not isinstance(result, str)]


def _refuse(listing: Listing, bad: Mapping[str, str]) -> None:
    if bad:
        lines = shortlist([f"  {place}: {reason}" for place, reason in bad.items()], "\n")
        raise InputError(
            f"{listing.where}: {len(bad)} of {len(listing.places)} images cannot be read; replace or remove:\n{lines}"
        )


def decoded_pictures() -> Path:
    """Where pictures are kept once they are decoded: ``$SCHOLARS_CACHE``, else the user's cache directory."""
    asked = os.environ.get("SCHOLARS_CACHE")
    return store.expanded(asked) if asked else platformdirs.user_cache_path("scholars", appauthor=False) / "decoded"


def _note_use(used: Path, source: Path | str) -> None:
    """Say whose pictures these are, and that they are used now."""
    about = {"source": str(source.resolve() if isinstance(source, Path) else source), "path": isinstance(source, Path)}
    store.write_json(used / "about.json", about)


def _tidy(used: Path) -> None:
    """Remove the decoded copies of sources that are gone, the oldest of too many, and what was never finished.

    ``used`` stays.
    """
    entries: list[tuple[float, int, Path]] = []
    for folder in used.parent.iterdir():
        with contextlib.suppress(OSError, InputError):  # another process may be tidying too
            if folder.name.startswith(_DECODING):
                _abandon(folder)
            if folder == used or folder.name.startswith("."):
                continue
            about = store.read_json(folder / "about.json")
            if about.get("path") and not Path(about.get("source", "")).exists():
                shutil.rmtree(folder, ignore_errors=True)
            else:
                size = (folder / "images.npy").stat().st_size
                entries.append(((folder / "about.json").stat().st_mtime, size, folder))
    held = (used / "images.npy").stat().st_size
    for _, size, folder in sorted(entries, reverse=True):
        held += size
        if held > _MOST_CACHED:
            shutil.rmtree(folder, ignore_errors=True)


def _abandon(decoding: Path) -> None:
    """Remove what a process that died while it decoded left; what another one is about stays."""
    if not (decoding / _LOCK).is_file():
        return
    with contextlib.suppress(Timeout), FileLock(decoding / _LOCK, timeout=0):
        shutil.rmtree(decoding, ignore_errors=True)
