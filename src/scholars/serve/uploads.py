"""Images that came over the network, on their way to a folder for each class. Nothing said about them is believed."""

from __future__ import annotations

import re
import stat
import struct
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from scholars.errors import InputError, shortlist
from scholars.tasks.arrays import check_packed
from scholars.tasks.folder import PARTS
from scholars.tasks.pictures import ENDINGS
from scholars.tasks.task import composed

# What one task may bring: more is taught from the command line. So many files a zip file lists without extensions.
MOST_FILES = 65_535
MOST_BYTES = 2 * 2**30
MOST_OF_ONE = 64 * 2**20
_PIECE = 2**20
# Of a path in it: what every file system takes.
_MOST_DEPTH, _MOST_OF_NAME = 16, 200
# Bytes of a zip file's list of entries: `zipfile` reads all of it at once, into some ten times the memory.
_MOST_LISTED = 16 * 2**20
# The end of a zip file: signature, four counts, size of its list of entries, where that begins, length of a comment.
# Archives of more entries, or over 4 GiB, have a locator of so many bytes before it.
_END, _LOCATOR = struct.Struct("<4s4H2LH"), 20


class Intake:
    """A new folder of class folders, filled file by file; refuses names that lead out of it, and too much."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = self._bytes = self._size = 0
        self._stopped = False

    def stop(self) -> None:
        """Take in no more: whatever comes next is refused."""
        self._stopped = True

    def place(self, name: str) -> Path | None:
        """Where the file called ``name`` (``CLASS/FILE``, deeper is allowed) goes; None for what is no image.

        Raises InputError for a name that is not inside, and when there are too many.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        # What stands before a colon may be a drive. Files are called anew, and screenshots after the time.
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:-1]) or "\0" in name:
            raise InputError(f"the name {name!r} leads out of the archive")
        if not _storable(path):
            raise InputError(f"the name {name[:100]!r} is no path that a folder could have here")
        if any(part.startswith((".", "__MACOSX")) for part in path.parts) or path.suffix.lower() not in ENDINGS:
            return None
        if len(path.parts) < 2:
            raise InputError(f"{name!r} is in no folder: put the images of each class into a folder of its name")
        self._files += 1
        if self._files > MOST_FILES:
            raise InputError(f"more than {MOST_FILES:,} images: teach them by `scholars learn`")
        # Its name is for messages: no terminal or page obeys it, and no other file has it.
        stem = re.sub(r"[^\w .()\[\]+,;=@-]", "_", path.stem)
        return self.folder.joinpath(*path.parts[:-1], f"{stem}-{self._files:06d}{path.suffix.lower()}")

    def begin(self, target: Path) -> BinaryIO:
        """Make a file for `add`; one at a time is written."""
        self._size = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.open("xb")
        except (FileExistsError, NotADirectoryError):
            name = target.relative_to(self.folder)
            raise InputError(f"{str(name)!r} and another name are a file and a folder of the same name") from None

    def add(self, file: BinaryIO, piece: bytes) -> None:
        """Write on, as far as it may. Raises InputError where it is too much."""
        if self._stopped:
            raise InputError("the studio is closed")
        self._size += len(piece)
        self._bytes += len(piece)
        if self._size > MOST_OF_ONE or self._bytes > MOST_BYTES:
            raise InputError(f"an image of over {MOST_OF_ONE >> 20} MiB, or over {MOST_BYTES >> 30} GiB in all")
        file.write(piece)

    def root(self, known: Collection[str] = ()) -> tuple[Path, str | None]:
        """The folder whose folders are the classes, and what is to be said of that, if it is not the whole.

        Archives often hold one folder that holds them. But one that bears the name of a ``known`` class is that class,
        and all that is in it are images of it. Raises InputError where it may be either.
        """
        folder, note = self.folder, None
        while True:
            inside = sorted(folder.iterdir()) if folder.is_dir() else []
            if len(inside) != 1 or not inside[0].is_dir() or composed(inside[0].name) in known:
                break
            deeper = sorted(inside[0].iterdir())
            folders = [entry.name for entry in deeper if entry.is_dir()]
            if not folders:
                break
            folder = inside[0]
            if len(folders) < len(deeper):
                raise InputError(
                    f"{folder.name!r} holds images and folders: is it a class, or are they? Put the folders of classes "
                    "side by side"
                )
            note = f"the classes are the folders in {folder.name!r}: {shortlist(folders, ', ')}"
            if set(map(str.casefold, folders)) <= PARTS:
                note = None
        if not inside:
            raise InputError("there is no image in it")
        return folder, note


def unpack(archive: Path, intake: Intake) -> None:
    """Take in a zip file of class folders. Raises InputError for what is no such file, or a hostile one."""
    try:
        _check_list(archive)
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if entry.is_dir():
                    continue
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise InputError(f"{entry.filename!r} is a link: an archive of images holds files only")
                check_packed(entry, "the archive")
                target = intake.place(entry.filename)
                if target:
                    with opened.open(entry) as packed, intake.begin(target) as file:
                        # Counted as it comes: what the archive says of sizes may be a lie.
                        while piece := packed.read(_PIECE):
                            intake.add(file, piece)
    except InputError:
        raise
    except Exception as error:  # the decompressors raise whatever the damage leads to
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise InputError(f"it is not a zip file that can be unpacked: {why}") from None


def _check_list(archive: Path) -> None:
    """Refuse a zip file with more entries than are taken in, before `zipfile` reads its list of them."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - _END.size - _LOCATOR - 2**16))
        tail = file.read()
    # As `zipfile` looks for it: at the very end, else the last one that there is.
    at = len(tail) - _END.size
    if at < 0 or tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + _END.size:
        return  # no zip file, and `zipfile` says so
    listed = _END.unpack_from(tail, at)[5]
    extended = tail[max(0, at - _LOCATOR) : at].startswith(b"PK\6\7")
    if extended or listed > _MOST_LISTED:
        raise InputError(f"more than {MOST_FILES:,} files: teach them by `scholars learn`")


def _storable(path: PurePosixPath) -> bool:
    try:
        sizes = [len(part.encode()) for part in path.parts]
    except UnicodeEncodeError:
        return False
    return len(sizes) <= _MOST_DEPTH and max(sizes, default=0) <= _MOST_OF_NAME
