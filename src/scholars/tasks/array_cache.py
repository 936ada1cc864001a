"""Arrays that are computed once and kept in the user's cache directory, memory-mapped.

Neither memory nor time grows with an array that is there already: its pages are read as they are used.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
from filelock import FileLock, Timeout

from scholars.errors import InputError, ScholarsError
from scholars.storage.files import expand_user, read_json, write_json

_ARRAY, ABOUT = "images.npy", "about.json"
# Folders in which arrays are being written, and the lock in each that the writing process holds.
_WRITING, _LOCK = ".decoding-", "lock"
# Beyond this the arrays that were not used for longest are removed.
_MAX_CACHE_BYTES = 50 * 2**30


def resolve_cache_folder() -> Path:
    """Return the folder of the cache: ``$SCHOLARS_CACHE``, else one in the user's cache directory."""
    chosen = os.environ.get("SCHOLARS_CACHE")
    return expand_user(chosen) if chosen else platformdirs.user_cache_path("scholars", appauthor=False) / "decoded"


def cached_array(
    key: str, count: int, source: Path | str, write: Callable[[Path], None], folders: Collection[str] = ()
) -> npt.NDArray[np.uint8]:
    """Return the uint8 array ``[count, C, H, W]`` of ``key``, read-only and memory-mapped, and write it if need be.

    key: equal for equal arrays only; the name of a folder
    source: what the array was computed from; once this path is gone, the array is removed
    write: writes the array to a path, in numpy's format
    folders: names of the folders that the images are from, as a rule their classes; noted beside the array

    Raises ScholarsError if the disk is full or cannot be written to, and what ``write`` raises.
    """
    entry = resolve_cache_folder() / key
    array = _memory_map(entry, count)
    if array is None:
        _add(entry, source, write, folders)
        array = _memory_map(entry, count)
    if array is None:
        raise ScholarsError(f"{entry}: was removed while it was in use; give the command again")
    _record_use(entry, source, folders)
    _evict(keep=entry)
    return array


def _memory_map(entry: Path, count: int) -> npt.NDArray[np.uint8] | None:
    """Return the array of an entry, or None if it is not there or not whole."""
    try:
        array: npt.NDArray[Any] = np.load(entry / _ARRAY, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return array if array.dtype == np.uint8 and array.ndim == 4 and len(array) == count else None


def _add(entry: Path, source: Path | str, write: Callable[[Path], None], folders: Collection[str]) -> None:
    """Write a new entry, which appears when it is whole."""
    try:
        # For the user alone: the images may be private.
        entry.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, prefix=_WRITING) as folder:
            work = Path(folder) / "work"
            work.mkdir()
            # The system frees the lock of a process that died; see `_remove_stale`.
            with FileLock(Path(folder) / _LOCK):
                write(work / _ARRAY)
                _record_use(work, source, folders)
                shutil.rmtree(entry, ignore_errors=True)
                # Another process may have been as quick.
                with contextlib.suppress(OSError):
                    work.rename(entry)
    except OSError as error:
        raise ScholarsError(
            f"decoded images cannot be kept in {entry.parent}: {error.strerror or error}; make room, or name another "
            "folder with $SCHOLARS_CACHE"
        ) from error


def _record_use(entry: Path, source: Path | str, folders: Collection[str]) -> None:
    """Note in an entry what it was computed from and, by the note's age, when it was last used."""
    is_path = isinstance(source, Path)
    where = str(Path(source).resolve() if is_path else source)
    write_json(entry / ABOUT, {"source": where, "path": is_path, "folders": sorted(folders)})


def _evict(keep: Path) -> None:
    """Remove entries whose source is gone, the least recently used of too many, and what was never finished."""
    entries: list[tuple[float, int, Path]] = []
    for entry in keep.parent.iterdir():
        with contextlib.suppress(OSError, InputError):  # another process may remove the same
            if entry.name.startswith(_WRITING):
                _remove_stale(entry)
            if entry == keep or entry.name.startswith("."):
                continue
            about = read_json(entry / ABOUT)
            if about.get("path") and not Path(about.get("source", "")).exists():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entries.append(((entry / ABOUT).stat().st_mtime, (entry / _ARRAY).stat().st_size, entry))
    total = (keep / _ARRAY).stat().st_size
    for _, size, entry in sorted(entries, reverse=True):
        total += size
        if total > _MAX_CACHE_BYTES:
            shutil.rmtree(entry, ignore_errors=True)


def _remove_stale(writing: Path) -> None:
    """Remove what a process left that died while it wrote; what a living one is writing stays."""
    if not (writing / _LOCK).is_file():
        return
    with contextlib.suppress(Timeout), FileLock(writing / _LOCK, timeout=0):
        shutil.rmtree(writing, ignore_errors=True)
