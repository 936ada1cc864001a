"""Images that came over the network, on their way to a folder for each class. Nothing said about them is believed."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scholars.errors import InputError
from scholars.tasks.pictures import ENDINGS

# What one task may bring: more is taught from the command line.
MOST_FILES = 100_000
MOST_BYTES = 2 * 2**30
MOST_OF_ONE = 64 * 2**20
_PIECE = 2**20


class Intake:
    """A new folder of class folders, filled file by file; refuses names that lead out of it, and too much."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = self._bytes = 0

    def place(self, name: str) -> Path | None:
        """Where the file called ``name`` (``CLASS/FILE``, deeper is allowed) goes; None for what is no image.

        Raises InputError for a name that is not inside, and when there are too many.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
            raise InputError(f"the name {name!r} leads out of the archive")
        if any(part.startswith((".", "__MACOSX")) for part in path.parts) or path.suffix.lower() not in ENDINGS:
            return None
        if len(path.parts) < 2:
            raise InputError(f"{name!r} is in no folder: put the images of each class into a folder of its name")
        self._files += 1
        if self._files > MOST_FILES:
            raise InputError(f"more than {MOST_FILES:,} images: teach them by `scholars learn`")
        # Names of files are of no use any more; those of folders are the classes'.
        return self.folder.joinpath(*path.parts[:-1], f"{self._files:06d}{path.suffix.lower()}")

    def write(self, target: Path, pieces: Iterator[bytes]) -> None:
        """Write what comes, as far as it may. Raises InputError where it is too much."""
        target.parent.mkdir(parents=True, exist_ok=True)
        size = 0
        with target.open("xb") as file:
            for piece in pieces:
                size += len(piece)
                self._bytes += len(piece)
                if size > MOST_OF_ONE or self._bytes > MOST_BYTES:
                    raise InputError(f"an image of over {MOST_OF_ONE >> 20} MiB, or over {MOST_BYTES >> 30} GiB in all")
                file.write(piece)

    def root(self) -> Path:
        """The folder whose folders are the classes: archives often hold one folder that holds them."""
        folder = self.folder
        while True:
            inside = sorted(folder.iterdir()) if folder.is_dir() else []
            if len(inside) != 1 or not inside[0].is_dir() or not any(entry.is_dir() for entry in inside[0].iterdir()):
                break
            folder = inside[0]
        if not inside:
            raise InputError("there is no image in it")
        return folder


def unpack(archive: Path, intake: Intake) -> None:
    """Take in a zip file of class folders. Raises InputError for what is no such file, or a hostile one."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if entry.is_dir():
                    continue
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise InputError(f"{entry.filename!r} is a link: an archive of images holds files only")
                target = intake.place(entry.filename)
                if target:
                    with opened.open(entry) as file:
                        # Counted as it comes: what the archive says of sizes may be a lie.
                        intake.write(target, iter(lambda file=file: file.read(_PIECE), b""))  # type: ignore[misc]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise InputError(f"it is not a zip file that can be unpacked: {error}") from None
