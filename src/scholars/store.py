"""Files, written atomically and read without pickle. This module alone knows how a scholar looks on disk."""

from __future__ import annotations

import ctypes
import hashlib
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

FORMAT = 1
DESCRIPTION = "scholar.json"
_SUFFIX = ".safetensors"
# Bytes of a JSON document: the lineage of thousands of tasks, and not the memory of a machine.
MOST_TOLD = 2**26
# A process can only learn its umask by setting it: once, for between two threads that do it could stay at 0.
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place at the end of the block, or vanishes with an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp's files are their owner's alone; what takes their place has a new file's ordinary permissions.
        temporary.chmod(0o666 & ~_UMASK)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text``, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, atomically. NaN and infinity are refused: they are not JSON."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def append_json(path: Path, document: Mapping[str, Any]) -> None:
    """Add a JSON document as one line, after cutting off one that a full disk or a power cut left unfinished."""
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
    """Read a JSON document that is an object, of `MOST_TOLD` bytes at most. Raises InputError."""
    try:
        if not path.is_file():
            raise InputError(f"{path} is no file")
        if path.stat().st_size > MOST_TOLD:
            raise InputError(f"{path} is larger than {MOST_TOLD >> 20} MiB: that is no description that scholars wrote")
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a JSON object")
    return document


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> None:
    """Write named tensors as one safetensors file, atomically."""
    with replacing(path) as temporary:
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        try:
            save_file(plain, temporary, dict(notes or {}))
        except SafetensorError as error:  # its own name for what the system said
            raise OSError(f"{path} cannot be written: {error}") from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: tensors and notes. Takes no more memory than the file has bytes. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path} is no file")
    try:
        with safe_open(path, framework="pt") as file:
            names: list[str] = list(file.keys())  # the file itself cannot be iterated over
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        # A type that this version of PyTorch does not have is looked up in vain.
        raise InputError(f"{path} is not a readable safetensors file: {error}") from None


def write_scholar(folder: Path, description: Mapping[str, Any], weights: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write a scholar's folder: ``scholar.json`` and one safetensors file per part.

    A scholar that is already there is replaced: the new one is complete on disk before the old one is moved away.
    Raises InputError where there is anything else.
    """
    # Through a symbolic link, what it leads to is replaced, and not the link.
    folder = folder.resolve()
    if occupied(folder) and not (folder / DESCRIPTION).is_file() and not _retired(folder).is_dir():
        raise InputError(f"{folder} is there and is not a scholar: it is left as it is; choose another place")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        for part, tensors in weights.items():
            write_tensors(fresh / f"{part}{_SUFFIX}", tensors)
        files = {f"{part}{_SUFFIX}": _digest(fresh / f"{part}{_SUFFIX}") for part in weights}
        write_json(fresh / DESCRIPTION, {"format": FORMAT, **description, "sha256": files})
        ordinary(fresh)
        if folder.exists():
            _exchange(fresh, folder)
        else:
            fresh.rename(folder)
            shutil.rmtree(_retired(folder), ignore_errors=True)
        _sync(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def ordinary(folder: Path) -> None:
    """Give a folder that `tempfile` made, for its owner alone, a new folder's ordinary permissions."""
    folder.chmod(0o777 & ~_UMASK)


def discard(folder: Path) -> None:
    """Remove a folder, if it is there: whenever the process dies, it is whole or gone, for it loses its name first."""
    if folder.exists():
        gone = folder.rename(folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp"))
        shutil.rmtree(gone, ignore_errors=True)


def clear_away(path: Path) -> None:
    """Remove what processes that were killed while they wrote or removed ``path`` left beside it.

    To be called where nobody else does either.
    """
    path = path.resolve()
    for other in path.parent.glob(".*.tmp"):
        if abandoned(other, path.name) and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)


def abandoned(path: Path, name: str) -> bool:
    """Whether ``path`` is called as what is written, or removed, beside the place of ``name`` is until that is done."""
    return bool(re.fullmatch(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}\.tmp", path.name))


def expanded(path: str | Path) -> Path:
    """``~/x`` and ``~user/x`` -> where that is. Raises InputError for a user that there is not."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: {error}") from None


def occupied(folder: Path) -> bool:
    """Whether anything is at this place: more than an empty folder. See `write_scholar`."""
    if not folder.exists():
        return _retired(folder).is_dir()
    return not folder.is_dir() or any(folder.iterdir())


def unfinished(folder: Path) -> Path:
    """Where unfinished learning of the scholar in ``folder`` is kept."""
    whole = folder.resolve()
    return whole.with_name(f".{whole.name}.learning")


def describe_scholar(folder: Path) -> dict[str, Any]:
    """What a scholar's folder says of itself, unchecked: its weights are not read. Raises InputError."""
    if not (folder / DESCRIPTION).is_file():
        raise InputError(f"{folder} is not a scholar: it has no {DESCRIPTION}; {_instead(folder)}")
    return read_json(folder / DESCRIPTION)


def read_scholar(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Read a scholar's folder: description and weights by part. Raises InputError if anything is missing or altered."""
    while True:
        place = folder if folder.exists() or not _retired(folder).is_dir() else _retired(folder)
        description = describe_scholar(place)
        try:
            return description, _described_weights(place, description)
        except InputError:
            # It may have been replaced by its next generation while it was read.
            if describe_scholar(place) == description:
                raise


def _described_weights(folder: Path, description: Mapping[str, Any]) -> dict[str, dict[str, Tensor]]:
    version = description.get("format")
    if version != FORMAT:
        raise InputError(
            f"{folder} has format {version!r}; this version of scholars reads format {FORMAT}: update scholars"
        )
    files = description.get("sha256")
    if not isinstance(files, dict) or not files:
        raise InputError(f"{folder / DESCRIPTION} names no weight files")
    weights: dict[str, dict[str, Tensor]] = {}
    for name, digest in files.items():
        path = folder / name
        if Path(name).name != name or not name.endswith(_SUFFIX):
            raise InputError(f"{folder / DESCRIPTION} names {name!r}, which is no weight file of this folder")
        if not path.is_file():
            raise InputError(f"{folder}: {name} is missing")
        if path.is_symlink():
            raise InputError(f"{path} is a link: copy the scholar's folder with its files, not with links to them")
        if _digest(path) != digest:
            raise InputError(f"{path} was altered or damaged: its SHA-256 is not the one in {DESCRIPTION}")
        weights[name.removesuffix(_SUFFIX)] = read_tensors(path)[0]
    return weights


def _instead(folder: Path) -> str:
    """Where there is a scholar instead, or how there comes to be one."""
    inside = sorted(path.parent.name for path in (folder / "scholars").glob(f"*/{DESCRIPTION}"))
    if unfinished(folder).is_dir():
        return "its first task is being learned, or that was interrupted: then the same command goes on"
    if inside:
        return f"it is a run, whose scholars are in {folder / 'scholars'}: {', '.join(inside)}"
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        return "name the folder of one"
    return f"`scholars learn {folder} SOURCE` makes one"


def _exchange(fresh: Path, folder: Path) -> None:
    """Put ``fresh`` in the place of ``folder`` and remove the old one."""
    if _swapped(fresh, folder):
        shutil.rmtree(fresh)
        return
    retired = _retired(folder)
    shutil.rmtree(retired, ignore_errors=True)
    folder.rename(retired)
    fresh.rename(folder)
    shutil.rmtree(retired, ignore_errors=True)


def _swapped(one: Path, other: Path) -> bool:
    """Give two paths each other's names in one step, if this system can (Linux, on most file systems)."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    at_working_directory, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of linux/fs.h
    paths = os.fsencode(one), os.fsencode(other)
    return bool(renameat2 and renameat2(at_working_directory, paths[0], at_working_directory, paths[1], exchange) == 0)


def _retired(folder: Path) -> Path:
    """Where the old scholar is for a moment, on systems that cannot swap, and is found if that moment was cut short."""
    place = folder.resolve()
    return place.with_name(f".{place.name}.old.tmp")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
