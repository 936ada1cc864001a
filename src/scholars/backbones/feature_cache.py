"""Features that were computed once, memory-mapped, and kept until `forget_features` or until they are too many.

An entry grows by whole images, so that an interrupted look goes on where it stopped.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from scholars.errors import InputError, ScholarsError
from scholars.storage.files import read_json, write_json
from scholars.tasks.array_cache import ABOUT, resolve_cache_folder

_FEATURES, _LOCKS = "features.f16", "locks"
# Beyond this the features that were not used for longest are removed.
_MAX_BYTES = 50 * 2**30


def features_folder() -> Path:
    """Return the folder of all features."""
    return resolve_cache_folder() / "features"


def cached_features(
    key: str,
    shape: tuple[int, int, int],
    compute: Callable[[int], Iterator[npt.NDArray[np.float16]]],
    folders: Collection[str] = (),
) -> tuple[npt.NDArray[np.float16], float]:
    """Return the features ``[N, V, D]`` of ``key``, memory-mapped, computing what is missing; and the seconds it took.

    key: equal for equal features only; the name of a folder
    compute: yields the features of the images from a given one on, ``[n, V, D]`` float16 at a time
    folders: names of the folders that the images are from, as a rule their classes; noted beside the features

    Raises ScholarsError if the disk is full or cannot be written to, and what ``compute`` raises.
    """
    entry = features_folder() / key
    try:
        with _lock(entry):
            entry.mkdir(mode=0o700, exist_ok=True)
            seconds = _complete(entry, shape, compute, folders)
            found: npt.NDArray[np.float16] = np.memmap(entry / _FEATURES, np.float16, "r", shape=shape)
    except OSError as error:
        raise ScholarsError(
            f"features cannot be kept in {entry.parent}: {error.strerror or error}; make room, or name another folder "
            "with $SCHOLARS_CACHE"
        ) from error
    _evict(entry)
    return found, seconds


def forget_features(key: str) -> None:
    """Remove what is kept under this key, unless another process looks at the same images just now."""
    _remove(features_folder() / key)


def _lock(entry: Path) -> FileLock:
    """Return the lock of an entry: another process may look at the same images, or remove them.

    Locks are beside the entries, for one that is removed with its entry locks nothing, and never more than 4,096.
    """
    folder = entry.parent / _LOCKS
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileLock(folder / entry.name[:3])


def _complete(
    entry: Path,
    shape: tuple[int, int, int],
    compute: Callable[[int], Iterator[npt.NDArray[np.float16]]],
    folders: Collection[str],
) -> float:
    """Compute what is missing in the folder, and return the seconds that all of it took."""
    row = 2 * shape[1] * shape[2]
    spent = read_json(entry / ABOUT)["seconds"] if (entry / ABOUT).is_file() else 0.0
    start = time.perf_counter()
    with (entry / _FEATURES).open("ab") as file:
        done = min(file.tell() // row, shape[0])
        file.truncate(done * row)
        missing = done < shape[0]
        try:
            for part in compute(done) if missing else ():
                file.write(np.ascontiguousarray(part).tobytes())
                file.flush()
        finally:
            seconds = float(spent + (time.perf_counter() - start if missing else 0.0))
            about = {"shape": list(shape), "seconds": seconds, "used": time.time(), "folders": sorted(folders)}
            write_json(entry / ABOUT, about)
    return seconds


def _remove(entry: Path) -> None:
    with contextlib.suppress(OSError, Timeout), _lock(entry).acquire(timeout=0):
        shutil.rmtree(entry, ignore_errors=True)


def _evict(keep: Path) -> None:
    """Remove the least recently used features of too many."""
    entries: list[tuple[float, int, Path]] = []
    for entry in keep.parent.iterdir():
        with contextlib.suppress(OSError, InputError):  # another process may remove the same
            used = float(read_json(entry / ABOUT).get("used", 0))
            entries.append((used, (entry / _FEATURES).stat().st_size, entry))
    total = 0
    for _, size, entry in sorted(entries, reverse=True):
        total += size
        if total > _MAX_BYTES and entry != keep:
            _remove(entry)
