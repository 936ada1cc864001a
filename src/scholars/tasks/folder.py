"""Tasks from folders of image files, one folder for each class."""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scholars.errors import InputError, ScholarsWarning, shortlist
from scholars.tasks.data_directory import not_classes
from scholars.tasks.decoding import read_file
from scholars.tasks.image_formats import image_suffixes, is_image_name, why_not_read
from scholars.tasks.listing import DecodeOptions, ImageListing, natural_key
from scholars.tasks.load import load_listing
from scholars.tasks.skipped import SkippedFiles, describe_skipped
from scholars.tasks.task import Task, check_name, nfc, resolve_classes

# What people call the parts of a data set, by what they are used for here; a folder of nothing but such folders holds
# no classes.
_PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
SPLIT_NAMES = frozenset(name for names in _PARTS.values() for name in names)
# Folders within each other.
_MAX_DEPTH = 100


def read_folder(
    path: str | Path, options: DecodeOptions, classes: Sequence[str] | None, known: Sequence[str] = ()
) -> Task:
    """Return the task of a folder of image files (of a moving image the first frame is read).

    The folder holds ``train/CLASS/*`` and ``test/CLASS/*``, in capitals or not, or ``CLASS/*`` alone. Then about 20 %
    of each class are held out, at least one image of it and never all: those whose content has a low SHA-256. That side
    stays the same when files are renamed or others added (a class so small that its test image had to be picked can
    change it), and equal files of a class stay together. ``validation/CLASS/*`` is the test part where there is no
    other, else left out. Folders inside a class folder belong to the class.

    Files that are not read are counted in the task's ``skipped``: other endings, images beside ``train`` and ``test``
    or beside the class folders, parts that are not used. Hidden files and folders are not even counted. A class folder
    without images is left out, with a `ScholarsWarning`.

    options: how to decode the images. Class names are those of the folders, in natural order: "2" before "10"
    classes: read these only, in this order
    known: classes that a scholar knows

    Raises InputError if the folder is not laid out like that, if a class folder holds nothing but folders, which may be
    the classes, and neither ``classes`` nor ``known`` names it; if a class has no image to spare for the test part, if
    a link leaves the folder or leads in a circle, and if images cannot be read: then it lists them.
    """
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder")
    reader = _Reader(root, tuple(nfc(name) for name in classes or ()), tuple(known))
    parts = reader.find_parts()
    train = reader.list_classes(parts[0] if parts else root)
    test = reader.list_classes(parts[1]) if parts else {}
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
        test=pairs(test) if parts else None,
        read=lambda key: read_file(str(root / key)),
        skipped=reader.skipped.counts(),
        notes=tuple(reader.notes),
    )
    return load_listing(listing, options)


def iter_image_files(folder: Path, skipped: SkippedFiles | None = None) -> Iterator[Path]:
    """Yield the image files in a folder and in those below it, in natural order.

    skipped: counts the files that are left out

    No more names are in memory than one folder holds. Raises InputError for links, as `read_folder` does.
    """
    reader = _Reader(folder)
    if skipped is not None:
        reader.skipped = skipped
    return reader.walk(folder, ())


@dataclass
class _Reader:
    """Reads the names in an image folder, and notes what it leaves out.

    classes: those that were asked for; none: all
    known: those that a scholar knows
    visited: the real paths of all folders that were read. Links to one folder from many, over and over, would never
        end, nor make two classes of one folder
    """

    root: Path
    classes: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    skipped: SkippedFiles = field(default_factory=SkippedFiles)
    notes: list[str] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)

    def find_parts(self) -> tuple[Path, Path] | None:
        """Return the folders of the train and the test part; None if the root holds class folders."""
        root, entries = self.root, self.entries(self.root)
        folders = [entry.name for entry in entries if entry.is_dir()]
        found = {part: [name for name in folders if name.casefold() in names] for part, names in _PARTS.items()}
        if not found["train"] and not found["test"]:
            if len(folders) > 1 and all(name.casefold() in SPLIT_NAMES for name in folders):
                raise InputError(
                    f"{root}: {' and '.join(folders)} are names of parts, not of classes: call them train and test, or "
                    "give one of them alone"
                )
            return None
        for part in ("train", "test"):
            if len(found[part]) > 1:
                raise InputError(
                    f"{root}: has the folders {' and '.join(found[part])}, which are one part; move them together"
                )
        tests = found["test"] or found["validation"]
        if not found["train"] or not tests:
            part, other = ("test", "train") if found["test"] else ("train", "test")
            raise InputError(
                f"{root}: has a folder {found[part][0]!r} but none called {other!r} (there is: {', '.join(folders)}); "
                f"add {other}/CLASS/*, or give a folder of class folders alone: a part is held out for the test"
            )
        if len(tests) > 1:
            raise InputError(f"{root}: has the folders {' and '.join(tests)}, which are one part; move them together")
        if not found["test"]:
            self.notes.append(f"{tests[0]} is the test part: there is no other")
        self.skip_others(root)
        used = {found["train"][0], tests[0]}
        for entry in entries:
            if entry.is_dir() and entry.name not in used:
                for file in self.walk(entry, ()):
                    self.skip(file, f"in the folder {entry.name}, beside {' and '.join(sorted(used))}")
            elif not entry.is_dir():
                self.skip(entry, f"beside the folders {' and '.join(sorted(used))}")
        return root / found["train"][0], root / tests[0]

    def list_classes(self, folder: Path) -> dict[str, list[Path]]:
        """Return the image files of each class folder in ``folder``, both in natural order."""
        entries = self.entries(folder)
        self.skip_others(folder)
        found: dict[str, list[Path]] = {}
        for entry in entries:
            if entry.name in not_classes(folder):
                self.notes.append(f"{entry.name} is left out: it is no class of this data set")
            elif entry.is_dir():
                check_name(entry.name, str(folder))
                name = nfc(entry.name)
                if name in found:
                    raise InputError(
                        f"{folder}: two folders are called {name}, by different Unicode; move them together"
                    )
                found[name] = list(self.walk(entry, ()))
        if not found:
            what = "images, but not in a folder for their class" if entries else "no folder with images"
            raise InputError(
                f"{folder}: holds {what}{self._left_out()}; sort them into one folder for each class: "
                f"{folder / 'CLASS'}/*"
            )
        for entry in entries:
            if not entry.is_dir():
                self.skip(entry, "beside the class folders")
        if empty := [name for name, files in found.items() if not files]:
            what = f"{folder}: no image in {shortlist(empty, ', ')} (looked for {', '.join(sorted(image_suffixes()))})"
            if len(empty) == len(found):
                raise InputError(f"{what}{self._left_out()}; add some")
            warnings.warn(f"{what}: left out", ScholarsWarning, stacklevel=2)
        classes = {name: files for name, files in found.items() if files}
        self._check_nesting(folder, classes)
        return classes

    def _check_nesting(self, folder: Path, classes: dict[str, list[Path]]) -> None:
        """Raise InputError for a class folder of nothing but folders, unless the class is asked for or known."""
        for name, files in classes.items():
            inside = dict.fromkeys(nfc(file.relative_to(folder).parts[1]) for file in files)
            own = any(len(file.relative_to(folder).parts) == 2 for file in files)
            if own or (len(inside) == 1 and len(classes) > 1):
                continue
            folders = shortlist(list(inside), ", ")
            if name in self.classes or name in self.known:
                self.notes.append(f"class {name!r} is of the images in the folders {folders}")
                continue
            if self.classes:
                continue
            raise InputError(
                f"{folder / name}: holds no image of its own but the folder{'s' * (len(inside) > 1)} {folders}: is it "
                f"one class, or are they? To learn what is in it, give {folder / name}; to learn it as one class, name "
                f"the classes: --classes {','.join(_quoted(each) for each in classes)}"
            )

    def _left_out(self) -> str:
        counts = self.skipped.counts()
        return f" ({describe_skipped(counts)})" if counts else ""

    def skip_others(self, folder: Path) -> None:
        """Count the files in a folder that are no images."""
        for entry in folder.iterdir():
            if (why := why_not_read(entry.name)) and not entry.is_dir():
                self.skip(entry, why)

    def skip(self, file: Path, reason: str) -> None:
        """Count a file that is left out."""
        self.skipped.add(file.relative_to(self.root), reason)

    def walk(self, folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
        """Yield the image files in a folder and in those below it.

        above: the real paths of the folders that lead here
        """
        real = os.path.realpath(folder)
        if real in above:
            raise InputError(f"{folder}: is a link to a folder that it is in itself; remove the link")
        if real in self.visited:
            raise InputError(f"{folder}: is, by a link, a folder that is read already; remove the link")
        if len(above) > _MAX_DEPTH:
            raise InputError(f"{folder}: is more than {_MAX_DEPTH} folders deep; move the images up")
        self.visited.add(real)
        entries = self.entries(folder)
        self.skip_others(folder)
        for entry in entries:
            if entry.is_dir():
                yield from self.walk(entry, (*above, real))
            else:
                yield entry

    def entries(self, folder: Path) -> list[Path]:
        """Return the folders and image files in a folder, in natural order.

        Raises InputError for links out of the root.
        """
        try:
            visible = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        except OSError as error:
            raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
        entries = [entry for entry in visible if is_image_name(entry.name) or entry.is_dir()]
        for entry in entries:
            if entry.is_symlink() and not Path(os.path.realpath(entry)).is_relative_to(os.path.realpath(self.root)):
                raise InputError(
                    f"{entry}: is a link that leaves the folder, to {os.path.realpath(entry)}; copy the images in "
                    "instead"
                )
        return sorted(entries, key=lambda entry: natural_key(entry.name))


def _quoted(name: str) -> str:
    """Return a class name as `--classes` takes it."""
    return f'"{name}"' if "," in name else name
