"""Read and write files and folders: atomically, and without pickle. docs/format.md lists the temporary names."""

import ctypes
import json
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from scholars.errors import InputError

# Enough for the lineage of thousands of tasks, and less than would fill a machine's memory.
MAX_JSON_BYTES = 2**26
# The umask can be read only by setting it; read once, for between two threads that do so it could stay at 0.
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there at the end of the block, or remove it after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp lets only the owner read the file.
        temporary.chmod(0o666 & ~_UMASK)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``; move it there at the end of the block, or remove it after an error.

    A folder that is there already, or that a link there leads to, is replaced, and stays whole until it is. Where the
    system cannot exchange two names in one step, it is at `retired_folder` for a moment, and stays there if the process
    dies in that moment.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    try:
        yield fresh
        # mkdtemp lets only the owner read the folder.
        fresh.chmod(0o777 & ~_UMASK)
        if not (path.exists() and _exchange(fresh, path)):
            retired = retired_folder(path)
            if path.exists():
                shutil.rmtree(retired, ignore_errors=True)
                path.rename(retired)
            fresh.rename(path)
            shutil.rmtree(retired, ignore_errors=True)
        sync(path.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def retired_folder(path: Path) -> Path:
    """Return where `atomic_folder` puts the old folder on systems that cannot exchange two names in one step."""
    place = path.resolve()
    return place.with_name(f".{place.name}.old.tmp")


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two paths in one step; return False where that is impossible (all but Linux)."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    at_working_directory, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fs.h
    paths = os.fsencode(one), os.fsencode(other)
    return bool(renameat2 and renameat2(at_working_directory, paths[0], at_working_directory, paths[1], exchange) == 0)


def write_text(path: Path, text: str) -> None:
    """Write ``text``, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, atomically. Raises ValueError for NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def append_json(path: Path, document: Mapping[str, Any]) -> None:
    """Add a JSON document as one line, after cutting off a line that a full disk or a power cut left incomplete."""
    path.touch()
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        if end and file.read() != b"\n":
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
        file.write(json.dumps(document, allow_nan=False).encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of `MAX_JSON_BYTES` bytes at most. Raises InputError for anything else."""
    try:
        if not path.is_file():
            raise InputError(f"{path} is no file")
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path} is larger than {MAX_JSON_BYTES >> 20} MiB: scholars wrote no such description")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a JSON object")
    return document


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> None:
    """Write named tensors as one safetensors file, atomically."""
    with atomic_write(path) as temporary:
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        try:
            save_file(plain, temporary, dict(notes or {}))
        except SafetensorError as error:  # safetensors does not raise OSError when a disk is full
            raise OSError(f"{path} cannot be written: {error}") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and notes of a safetensors file, in no more memory than its size. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path} is no file")
    try:
        with safe_open(path, framework="pt") as file:
            names: list[str] = list(file.keys())  # the file itself cannot be iterated over
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        # AttributeError: a type that this version of PyTorch does not have.
        raise InputError(f"{path} is not a readable safetensors file: {error}") from None


def link_or_copy(file: Path, place: Path) -> bool:
    """Make ``place`` a hard link to a file, on another file system a copy of it; return False if the file is gone."""
    try:
        place.hardlink_to(file)
    except FileNotFoundError:
        return False
    except OSError:
        shutil.copyfile(file, place)
    return True


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there. It is renamed first, so that a process that dies leaves it whole or gone."""
    if folder.exists():
        renamed = folder.rename(folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp"))
        shutil.rmtree(renamed, ignore_errors=True)


def remove_stale_temps(path: Path) -> None:
    """Remove temporary folders beside ``path``, left by processes that died while they wrote or removed it.

    To be called only where no other process writes ``path``.
    """
    path = path.resolve()
    for other in path.parent.glob(".*.tmp"):
        if is_stale_temp(other, path.name) and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)


def is_stale_temp(path: Path, name: str) -> bool:
    """Return whether ``path`` has a name under which this module writes, or removes, something called ``name``."""
    return bool(re.fullmatch(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}\.tmp", path.name))


def expand_user(path: str | Path) -> Path:
    """Replace a leading ``~`` or ``~user`` by that home directory. Raises InputError for an unknown user."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: {error}") from None


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk itself."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
