"""From what people type to a task: a known name, an image folder, or an ``.npz`` file."""

from __future__ import annotations

from pathlib import Path

from scholars.errors import InputError, nearest
from scholars.tasks.arrays import read_arrays
from scholars.tasks.digits import digits
from scholars.tasks.folder import read_folder
from scholars.tasks.named import SOURCES, named
from scholars.tasks.street import street
from scholars.tasks.task import Task

NAMES: tuple[str, ...] = (*SOURCES, "digits", "street")


def open_task(source: str | Path, *, data_dir: str | Path | None = None, size: int | None = None) -> Task:
    """Open a task.

    source: one of `NAMES`, an image folder, or an ``.npz`` file. Text that is a known name always means that name, and
        ``./mnist`` or a `Path` always a path.
    data_dir: where names are looked for and downloaded to; unless given, ``$SCHOLARS_DATA``, else the user's cache
        directory. ``digits`` and ``street`` need none.
    size: the side of the squares that an image folder is decoded to; see `read_folder`

    Raises InputError where there is no such name or file, or where it cannot be used.
    """
    if isinstance(source, str) and source in NAMES:
        return _by_name(source, data_dir)
    path = Path(source).expanduser()
    # Path("") is the current folder, which nobody means by giving an empty name.
    if source != "" and path.exists():
        if path.is_dir():
            return read_folder(path, size)
        if path.is_file() and path.suffix.lower() == ".npz":
            return read_arrays(path)
        raise InputError(f"{path}: is neither an image folder nor an .npz file")
    raise InputError(
        f"{str(source)!r} is neither a known task nor a file or folder that exists. "
        f"{nearest(str(source).lower(), NAMES)}"
    )


def _by_name(name: str, data_dir: str | Path | None) -> Task:
    if name == "digits":
        return digits()
    if name == "street":
        return street()
    return named(name, data_dir)
