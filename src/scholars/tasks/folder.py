"""Tasks from folders of image files, one folder for each class."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from scholars.errors import InputError, ScholarsWarning, shortlist
from scholars.tasks.listing import Form, Listing, gathered, natural
from scholars.tasks.pictures import ENDINGS, file_bytes
from scholars.tasks.task import Task, check_text, chosen, composed

# What people call parts of a data set; two of these are no classes.
PARTS = frozenset(("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation"))
# Folders within each other.
_DEEPEST = 100


def read_folder(path: str | Path, form: Form, classes: Sequence[str] | None) -> Task:
    """Read a task from a folder of PNG, JPEG, WebP, BMP, TIFF or GIF files (of a moving picture the first frame).

    The folder holds ``train/CLASS/*`` and ``test/CLASS/*``, in capitals or not, or ``CLASS/*`` alone. Then about 20 %
    of each class are held out, at least one image of it and never all: those whose content has a low SHA-256. That side
    stays the same when files are renamed or others added (a class so small that its test image had to be picked can
    change it), and equal files of a class stay together. Folders inside a class folder belong to the class. Hidden
    files and folders, other file endings, and anything beside ``train`` and ``test``, or beside the class folders, is
    ignored; a class folder without images too, with a `ScholarsWarning`.

    form: what the images become. Class names are those of the folders, in natural order: "2" before "10"
    classes: read these only, in this order

    Raises InputError if the folder is not laid out like that, if a class has no image to spare for the test part, if a
    link leaves the folder or leads in a circle, and if images cannot be read: then it lists them.
    """
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder")
    split, read = _split(root), set[str]()
    train = _classes(root, split[0] if split else root, read)
    test = _classes(root, split[1], read) if split else {}
    strange = [name for name in test if name not in train]
    if strange:
        raise InputError(
            f"{root}: test has classes that train does not have: {', '.join(strange)} (train has {', '.join(train)}); "
            "name them alike, or move them away"
        )
    names = chosen(root.resolve().name, tuple(train), classes)
    parts = [
        [(label, file) for label, name in enumerate(names) for file in part.get(name, ())] for part in (train, test)
    ]
    files = [*parts[0], *parts[1]]
    listing = Listing(
        name=root.resolve().name,
        where=root,
        classes=names,
        labels=np.array([label for label, _ in files], dtype=np.int64),
        places=[str(file.relative_to(root)) for _, file in files],
        read=lambda place: file_bytes(str(root / place)),
        trained=len(parts[0]) if split else None,
    )
    return gathered(listing, form)


def image_files(folder: Path) -> Iterator[Path]:
    """The image files in a folder and in those below it, in natural order. Raises InputError as `read_folder` does.

    No more names are in memory than one folder holds.
    """
    return _files(folder, folder, (), set())


def _split(root: Path) -> tuple[Path, Path] | None:
    """The folder's own train and test parts, however they are capitalised; None where it holds class folders."""
    folders = [entry.name for entry in _entries(root, root) if entry.is_dir()]
    there = {side: [name for name in folders if name.casefold() == side] for side in ("train", "test")}
    for found in there.values():
        if len(found) > 1:
            raise InputError(f"{root}: has the folders {' and '.join(found)}, which are one part; move them together")
    if there["train"] and there["test"]:
        return root / there["train"][0], root / there["test"][0]
    for side, other in (("train", "test"), ("test", "train")):
        if there[side]:
            raise InputError(
                f"{root}: has a folder {there[side][0]!r} but none called {other!r} (there is: {', '.join(folders)}); "
                f"add {other}/CLASS/*, or give a folder of class folders alone: a part is held out for the test"
            )
    if len(folders) > 1 and all(name.casefold() in PARTS for name in folders):
        raise InputError(
            f"{root}: {' and '.join(folders)} are names of parts, not of classes: call them train and test, or give "
            "one of them alone"
        )
    return None


def _classes(root: Path, folder: Path, read: set[str]) -> dict[str, list[Path]]:
    """The image files of each class folder in ``folder``, both in natural order.

    read: the real paths of the folders that were read before: no link makes of one class two
    """
    entries = _entries(root, folder)
    folders = [entry for entry in entries if entry.is_dir()]
    for entry in folders:
        check_text(entry.name, str(folder))
    found: dict[str, list[Path]] = {}
    for entry in folders:
        name = composed(entry.name)
        if name in found:
            raise InputError(f"{folder}: two folders are called {name}, by different Unicode; move them together")
        found[name] = list(_files(root, entry, (), read))
    if not found:
        what = "images, but not in a folder for their class" if entries else "no folder with images"
        raise InputError(f"{folder}: holds {what}; sort them into one folder for each class: {folder / 'CLASS'}/*")
    empty = [name for name, files in found.items() if not files]
    if empty:
        what = f"{folder}: no image in {shortlist(empty, ', ')} (looked for {', '.join(sorted(ENDINGS))})"
        if len(empty) == len(found):
            raise InputError(f"{what}; add some")
        warnings.warn(f"{what}: left out", ScholarsWarning, stacklevel=2)
    return {name: files for name, files in found.items() if files}


def _files(root: Path, folder: Path, above: tuple[str, ...], seen: set[str]) -> Iterator[Path]:
    """The image files in a folder and in those below it.

    above: the real paths of the folders that lead here
    seen: those of all that were read before. Links to one folder from many, over and over, would never end
    """
    real = os.path.realpath(folder)
    if real in above:
        raise InputError(f"{folder}: is a link to a folder that it is in itself; remove the link")
    if real in seen:
        raise InputError(f"{folder}: is, by a link, a folder that is read already; remove the link")
    if len(above) > _DEEPEST:
        raise InputError(f"{folder}: is more than {_DEEPEST} folders deep; move the images up")
    seen.add(real)
    for entry in _entries(root, folder):
        if entry.is_dir():
            yield from _files(root, entry, (*above, real), seen)
        else:
            yield entry


def _entries(root: Path, folder: Path) -> list[Path]:
    """The folders in a folder, and what is called like an image, in natural order. Refuses links out of ``root``."""
    try:
        visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    entries = [entry for entry in visible if entry.suffix.lower() in ENDINGS or entry.is_dir()]
    for entry in entries:
        if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(os.path.realpath(root)):
            raise InputError(
                f"{entry}: is a link that leaves the folder, to {os.path.realpath(entry)}; copy the images in instead"
            )
    return sorted(entries, key=lambda entry: natural(entry.name))
