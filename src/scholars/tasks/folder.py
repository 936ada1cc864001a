"""Tasks from folders of image files, one folder for each class."""

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from scholars.errors import InputError, ScholarsWarning, shortlist
from scholars.tasks.data_directory import not_classes
from scholars.tasks.decoding import IMAGE_SUFFIXES, read_file
from scholars.tasks.listing import DecodeOptions, ImageListing, natural_key
from scholars.tasks.load import load_listing
from scholars.tasks.task import Task, check_name, nfc, resolve_classes

# What people call parts of a data set; a folder of nothing but such folders holds no classes.
SPLIT_NAMES = frozenset(
    ("train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval", "evaluation")
)
# Folders within each other.
_MAX_DEPTH = 100


def read_folder(path: str | Path, options: DecodeOptions, classes: Sequence[str] | None) -> Task:
    """Return the task of a folder of PNG, JPEG, WebP, BMP, TIFF or GIF files (of a moving image the first frame).

    The folder holds ``train/CLASS/*`` and ``test/CLASS/*``, in capitals or not, or ``CLASS/*`` alone. Then about 20 %
    of each class are held out, at least one image of it and never all: those whose content has a low SHA-256. That side
    stays the same when files are renamed or others added (a class so small that its test image had to be picked can
    change it), and equal files of a class stay together. Folders inside a class folder belong to the class. Hidden
    files and folders, other file endings, and anything beside ``train`` and ``test``, or beside the class folders, is
    ignored; a class folder without images too, with a `ScholarsWarning`.

    options: how to decode the images. Class names are those of the folders, in natural order: "2" before "10"
    classes: read these only, in this order

    Raises InputError if the folder is not laid out like that, if a class has no image to spare for the test part, if a
    link leaves the folder or leads in a circle, and if images cannot be read: then it lists them.
    """
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder")
    split, visited = _find_split(root), set[str]()
    train = _list_classes(root, split[0] if split else root, visited)
    test = _list_classes(root, split[1], visited) if split else {}
    if unknown := [name for name in test if name not in train]:
        raise InputError(
            f"{root}: test has classes that train does not have: {', '.join(unknown)} (train has {', '.join(train)}); "
            "name them alike, or move them away"
        )
    names = resolve_classes(root.resolve().name, tuple(train), classes)

    def pairs(part: dict[str, list[Path]]) -> list[tuple[str, str]]:
        return [(str(file.relative_to(root)), name) for name in names for file in part.get(name, ())]

    listing = ImageListing.of(
        root.resolve().name,
        root,
        names,
        train=pairs(train),
        test=pairs(test) if split else None,
        read=lambda key: read_file(str(root / key)),
    )
    return load_listing(listing, options)


def iter_image_files(folder: Path) -> Iterator[Path]:
    """Yield the image files in a folder and in those below it, in natural order.

    No more names are in memory than one folder holds. Raises InputError for links, as `read_folder` does.
    """
    return _walk(folder, folder, (), set())


def _find_split(root: Path) -> tuple[Path, Path] | None:
    """Return the folders of the train and the test part, in capitals or not; None if ``root`` holds class folders."""
    folders = [entry.name for entry in _list_entries(root, root) if entry.is_dir()]
    found = {part: [name for name in folders if name.casefold() == part] for part in ("train", "test")}
    for same in found.values():
        if len(same) > 1:
            raise InputError(f"{root}: has the folders {' and '.join(same)}, which are one part; move them together")
    if found["train"] and found["test"]:
        return root / found["train"][0], root / found["test"][0]
    for part, other in (("train", "test"), ("test", "train")):
        if found[part]:
            raise InputError(
                f"{root}: has a folder {found[part][0]!r} but none called {other!r} (there is: {', '.join(folders)}); "
                f"add {other}/CLASS/*, or give a folder of class folders alone: a part is held out for the test"
            )
    if len(folders) > 1 and all(name.casefold() in SPLIT_NAMES for name in folders):
        raise InputError(
            f"{root}: {' and '.join(folders)} are names of parts, not of classes: call them train and test, or give "
            "one of them alone"
        )
    return None


def _list_classes(root: Path, folder: Path, visited: set[str]) -> dict[str, list[Path]]:
    """Return the image files of each class folder in ``folder``, both in natural order.

    visited: see `_walk`; shared by the parts, so that no link makes two classes of one folder
    """
    entries = _list_entries(root, folder)
    found: dict[str, list[Path]] = {}
    for entry in entries:
        if entry.is_dir() and entry.name not in not_classes(folder):
            check_name(entry.name, str(folder))
            name = nfc(entry.name)
            if name in found:
                raise InputError(f"{folder}: two folders are called {name}, by different Unicode; move them together")
            found[name] = list(_walk(root, entry, (), visited))
    if not found:
        what = "images, but not in a folder for their class" if entries else "no folder with images"
        raise InputError(f"{folder}: holds {what}; sort them into one folder for each class: {folder / 'CLASS'}/*")
    if empty := [name for name, files in found.items() if not files]:
        what = f"{folder}: no image in {shortlist(empty, ', ')} (looked for {', '.join(sorted(IMAGE_SUFFIXES))})"
        if len(empty) == len(found):
            raise InputError(f"{what}; add some")
        warnings.warn(f"{what}: left out", ScholarsWarning, stacklevel=2)
    return {name: files for name, files in found.items() if files}


def _walk(root: Path, folder: Path, above: tuple[str, ...], visited: set[str]) -> Iterator[Path]:
    """Yield the image files in a folder and in those below it.

    above: the real paths of the folders that lead here
    visited: the real paths of all folders that were read. Links to one folder from many, over and over, would never end
    """
    real = os.path.realpath(folder)
    if real in above:
        raise InputError(f"{folder}: is a link to a folder that it is in itself; remove the link")
    if real in visited:
        raise InputError(f"{folder}: is, by a link, a folder that is read already; remove the link")
    if len(above) > _MAX_DEPTH:
        raise InputError(f"{folder}: is more than {_MAX_DEPTH} folders deep; move the images up")
    visited.add(real)
    for entry in _list_entries(root, folder):
        if entry.is_dir():
            yield from _walk(root, entry, (*above, real), visited)
        else:
            yield entry


def _list_entries(root: Path, folder: Path) -> list[Path]:
    """Return the folders and image files in a folder, in natural order. Raises InputError for links out of ``root``."""
    try:
        visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    entries = [entry for entry in visible if entry.suffix.lower() in IMAGE_SUFFIXES or entry.is_dir()]
    for entry in entries:
        if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(os.path.realpath(root)):
            raise InputError(
                f"{entry}: is a link that leaves the folder, to {os.path.realpath(entry)}; copy the images in instead"
            )
    return sorted(entries, key=lambda entry: natural_key(entry.name))
