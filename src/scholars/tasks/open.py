"""From what people type to a task: a known name, an image folder, a file, or a name on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from scholars.errors import InputError, nearest
from scholars.source_names import NAMES
from scholars.store import expanded
from scholars.tasks.arrays import read_arrays
from scholars.tasks.folder import read_folder
from scholars.tasks.hub import PREFIX, read_hub
from scholars.tasks.listing import Form
from scholars.tasks.table import read_table
from scholars.tasks.task import Task


def open_task(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    classes: Sequence[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Task:
    """Open a task.

    source: one of `NAMES`, an image folder, an ``.npz`` or ``.csv`` file, or ``hf:owner/name``. Text that is a known
        name always means that name, and ``./mnist`` or a `Path` always a path.
    data_dir: where names are looked for and downloaded to; unless given, ``$SCHOLARS_DATA``, else the user's cache
        directory. ``digits`` and ``street`` need none.
    classes: these classes only, in this order
    size, channels: what the pictures of a folder, a ``.csv`` or the hub are decoded to: squares of ``size`` pixels a
        side, else of the shortest side of all the pictures, but at most 64; 1 channel (grey) or 3 (RGB), else grey if
        no picture shows any colour. What was decoded is kept as a memory-mapped array in ``$SCHOLARS_CACHE``, else in
        the user's cache directory, for as long as the source is there
    on_progress: called with (pictures decoded, all)

    Raises InputError where there is no such name or file, or where it cannot be used.
    """
    if isinstance(source, str) and source in NAMES:
        return _only(_by_name(source, data_dir), classes)
    form = Form(channels, size, on_progress)
    if isinstance(source, str) and source.startswith(PREFIX):
        return read_hub(source, form, classes)
    path = expanded(source)
    # Path("") is the current folder, which nobody means by giving an empty name.
    if source != "" and path.exists():
        if path.is_dir():
            return read_folder(path, form, classes)
        match path.suffix.lower():
            case ".npz":
                return _only(read_arrays(path), classes)
            case ".csv":
                return read_table(path, form, classes)
        raise InputError(f"{path}: is neither an image folder nor an .npz or .csv file")
    raise InputError(
        f"{str(source)!r} is neither a known task nor a file or folder that exists. "
        f"{nearest(str(source).lower(), NAMES)}"
    )


def _only(task: Task, classes: Sequence[str] | None) -> Task:
    return task if classes is None else task.only(classes)


def _by_name(name: str, data_dir: str | Path | None) -> Task:
    match name:
        case "digits":
            from scholars.tasks.digits import digits

            return digits()
        case "street":
            from scholars.tasks.street import street

            return street()
    from scholars.tasks.named import named

    return named(name, data_dir)
