"""Find parts, classes and images by the names in an image folder or an archive, and note what is left out."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scholars.errors import InputError, ScholarsWarning, shortlist
from scholars.storage.class_folders import class_of_folder
from scholars.tasks.data_directory import not_classes
from scholars.tasks.image_formats import image_suffixes
from scholars.tasks.listing import natural_key
from scholars.tasks.skipped import Skipped, describe_skipped
from scholars.tasks.task import check_name, nfc
from scholars.tasks.trees import MAX_DEPTH, Entry, Tree

# What people call the parts of a data set, by what they are used for here.
PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("val", "valid", "validation", "dev", "eval", "evaluation"),
}
PART_NAMES = frozenset(name for names in PARTS.values() for name in names)


@dataclass
class LayoutReader:
    """Reads the names in an image folder, and notes what it leaves out.

    root: the folder in the tree that holds the parts or classes
    classes: those that were asked for; none: all
    known: those that a scholar knows
    visited: what identifies all folders that were read. Links to one folder from many, over and over, would never
        end, nor make two classes of one folder
    """

    tree: Tree
    root: PurePosixPath = field(default_factory=PurePosixPath)
    classes: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)

    def enter_outer_folder(self) -> None:
        """Go on with the folder in the root while it holds nothing else, and that nothing but folders.

        A folder that is called like a class that is asked for or known is that class. Raises InputError for one that
        holds images, too: it may be a class.
        """
        note = None
        while len(entries := self._with_images(self.root)) == 1 and entries[0].is_folder:
            outer = entries[0].path
            inside = self._with_images(outer)
            folders = [class_name(entry) for entry in inside if entry.is_folder]
            if not folders or class_name(entries[0]) in {*self.classes, *self.known}:
                break
            if len(folders) < len(inside) and not set(folders) & set(self.classes):
                raise InputError(
                    f"{self.place(outer)}: holds images and folders: is it a class, or is each of them one? Put the "
                    f"class folders side by side, or name the classes: --classes {_quoted(class_name(entries[0]))}"
                )
            for entry in self.entries(self.root):
                if entry.is_folder and entry.path != outer:
                    list(self.walk(entry.path, ()))
            self.skip_others(self.root)
            self.root = outer
            holds_parts = {name.casefold() for name in folders} <= PART_NAMES
            note = None if holds_parts else f"the classes are the folders in {outer.name!r}: {shortlist(folders, ', ')}"
        self.notes += [note] if note else []

    def find_parts(self) -> tuple[PurePosixPath, PurePosixPath] | None:
        """Return the folders of the train and the test part; None if the root holds class folders."""
        root, entries = self.place(self.root), self.entries(self.root)
        folders = [entry.path.name for entry in entries if entry.is_folder]
        found = {part: [name for name in folders if name.casefold() in names] for part, names in PARTS.items()}
        if not found["train"] and not found["test"]:
            if len(folders) > 1 and all(name.casefold() in PART_NAMES for name in folders):
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
        self.skip_others(self.root)
        used = {found["train"][0], tests[0]}
        for entry in entries:
            if entry.is_folder and entry.path.name not in used:
                for file in self.walk(entry.path, ()):
                    self.skip(file, f"in the folder {entry.path.name}, beside {' and '.join(sorted(used))}")
            elif not entry.is_folder:
                self.skip(entry.path, f"beside the folders {' and '.join(sorted(used))}")
        return self.root / found["train"][0], self.root / tests[0]

    def list_classes(self, folder: PurePosixPath) -> dict[str, list[PurePosixPath]]:
        """Return the image files of each class folder in ``folder``, both in natural order."""
        entries, place = self.entries(folder), self.place(folder)
        self.skip_others(folder)
        found: dict[str, list[PurePosixPath]] = {}
        for entry in entries:
            own = entry.path.name
            if own in not_classes(place):
                self.notes.append(f"{own} is left out: it is no class of this data set")
            elif entry.is_folder:
                check_name(own, str(place))
                name = class_name(entry)
                if name in found:
                    raise InputError(f"{place}: two folders are of the class {name}; move them together")
                if name != nfc(own):
                    self.notes.append(f"the folder {own} is of the class {name}: so are names of classes written")
                found[name] = list(self.walk(entry.path, ()))
        if not found:
            what = "images, but not in a folder for their class" if entries else "no folder with images"
            raise InputError(
                f"{place}: holds {what}{self._left_out()}; sort them into one folder for each class: "
                f"{place / 'CLASS'}/*"
            )
        for entry in entries:
            if not entry.is_folder:
                self.skip(entry.path, "beside the class folders")
        if empty := [name for name, files in found.items() if not files]:
            what = f"{place}: no image in {shortlist(empty, ', ')} (looked for {', '.join(sorted(image_suffixes()))})"
            if len(empty) == len(found):
                raise InputError(f"{what}{self._left_out()}; add some")
            warnings.warn(f"{what}: left out", ScholarsWarning, stacklevel=2)
        classes = {name: files for name, files in found.items() if files}
        self._check_nesting(folder, classes)
        return classes

    def _check_nesting(self, folder: PurePosixPath, classes: dict[str, list[PurePosixPath]]) -> None:
        """Raise InputError for a class folder of nothing but folders, unless the class is asked for or known."""
        for name, files in classes.items():
            inside = dict.fromkeys(nfc(file.relative_to(folder).parts[1]) for file in files)
            own = any(len(file.relative_to(folder).parts) == 2 for file in files)
            if own:
                continue
            folders = shortlist(list(inside), ", ")
            alone = len(inside) == 1 and len(classes) > 1
            if alone or name in self.classes or name in self.known:
                self.notes.append(f"class {name!r} is of the images in the folder{'s' * (len(inside) > 1)} {folders}")
                continue
            if self.classes:
                continue
            place = self.place(folder / files[0].relative_to(folder).parts[0])
            raise InputError(
                f"{place}: holds no image of its own but the folder{'s' * (len(inside) > 1)} {folders}: is it one "
                f"class, or is each of them one? To learn what is in it, give {place}; to learn it as one class, name "
                f"the classes: --classes {','.join(_quoted(each) for each in classes)}"
            )

    def _left_out(self) -> str:
        return f" ({describe_skipped(self.skipped)})" if self.skipped else ""

    def skip_others(self, folder: PurePosixPath) -> None:
        """Count the files in a folder that are no images."""
        for entry in self.tree.entries(folder):
            if entry.left_out:
                self.skip(entry.path, entry.left_out)

    def skip(self, file: PurePosixPath, reason: str) -> None:
        """Count a file that is left out."""
        self.skipped.append(Skipped(str(file), reason))

    def walk(self, folder: PurePosixPath, above: tuple[str, ...]) -> Iterator[PurePosixPath]:
        """Yield the image files in a folder and in those below it, in natural order.

        above: what identifies the folders that lead here
        """
        real = self.tree.identify(folder)
        if real in above:
            raise InputError(f"{self.place(folder)}: is a link to a folder that it is in itself; remove the link")
        if real in self.visited:
            raise InputError(f"{self.place(folder)}: is, by a link, a folder that is read already; remove the link")
        if len(above) > MAX_DEPTH:
            raise InputError(f"{self.place(folder)}: is more than {MAX_DEPTH} folders deep; move the images up")
        self.visited.add(real)
        entries = self.entries(folder)
        self.skip_others(folder)
        for entry in entries:
            if entry.is_folder:
                yield from self.walk(entry.path, (*above, real))
            else:
                yield entry.path

    def entries(self, folder: PurePosixPath) -> list[Entry]:
        """Return the folders and image files in a folder, in natural order."""
        entries = [entry for entry in self.tree.entries(folder) if entry.left_out is None]
        return sorted(entries, key=lambda entry: natural_key(entry.path.name))

    def place(self, path: PurePosixPath) -> Path:
        """Return a path in the tree as people write it."""
        return self.tree.source / path

    def _with_images(self, folder: PurePosixPath) -> list[Entry]:
        """Return the image files in a folder, and the folders that hold some."""
        return [entry for entry in self.entries(folder) if not entry.is_folder or self._holds_image(entry.path)]

    def _holds_image(self, folder: PurePosixPath) -> bool:
        return any(not entry.is_folder or self._holds_image(entry.path) for entry in self.entries(folder))


def class_name(entry: Entry) -> str:
    """Return the name of the class whose folder this is."""
    return nfc(class_of_folder(entry.path.name))


def _quoted(name: str) -> str:
    """Return a class name as `--classes` takes it."""
    return f'"{name}"' if "," in name else name
