"""Check and store what is uploaded: images sent one by one, or an archive. Nothing that an upload says is trusted."""

import re
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from scholars.errors import InputError
from scholars.storage.class_folders import class_folder_names
from scholars.tasks.archives import Archive, Limits, member_path
from scholars.tasks.folder import list_images
from scholars.tasks.image_formats import is_image_name, why_not_read
from scholars.tasks.layout import LayoutReader
from scholars.tasks.skipped import Skipped, describe_skipped
from scholars.tasks.trees import FolderTree

# Limits of one task; `scholars learn` takes more. A zip file without the zip64 extension lists as many files.
MAX_FILES = 65_535
MAX_BYTES = 2 * 2**30
MAX_FILE_BYTES = 64 * 2**20
MAX_DIRECTORY_BYTES = 16 * 2**20
# Limits of a path, which every file system takes: folders, bytes of a name.
_MAX_DEPTH, _MAX_NAME_BYTES = 16, 200


class UploadWriter:
    """Writes uploaded files, one at a time, into a new folder. Refuses names that lead out of it, and too much data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = self._bytes = self._file_bytes = 0
        self._skipped: list[Skipped] = []

    def open(self, name: str) -> BinaryIO | None:
        """Create the file called ``name`` (``CLASS/FILE``, or deeper); return None for one that is no image.

        Raises InputError for a name that is not inside a class folder or cannot be stored, and for too many files.
        """
        path = member_path(name, "the upload")
        if path is None:
            return None
        if not _is_storable(path):
            raise InputError(f"the name {name[:100]!r} is too long, too deep or not valid for a file here")
        if not is_image_name(path.name):
            if why := why_not_read(path.name):
                self._skipped.append(Skipped(str(path), why))
            return None
        if len(path.parts) < 2:
            raise InputError(f"{name!r} is in no folder: put the images of each class into a folder named after it")
        self._files += 1
        if self._files > MAX_FILES:
            raise InputError(f"more than {MAX_FILES:,} images: teach them by `scholars learn`")
        self._file_bytes = 0
        # Messages show the name: it gets no character that a terminal or a page would obey, and a number to be unique.
        stem = re.sub(r"[^\w .()\[\]+,;=@-]", "_", path.stem)
        folder = self.folder.joinpath(*(class_folder_names([part])[0] for part in path.parts[:-1]))
        target = folder / f"{stem}-{self._files:06d}{path.suffix.lower()}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.open("xb")
        except (FileExistsError, NotADirectoryError):
            name = str(target.relative_to(self.folder))
            raise InputError(f"{name!r} and another name are a file and a folder of the same name") from None

    def write(self, file: BinaryIO, data: bytes) -> None:
        """Write to the file that was opened last. Raises InputError for too much data."""
        self._file_bytes += len(data)
        self._bytes += len(data)
        if self._file_bytes > MAX_FILE_BYTES or self._bytes > MAX_BYTES:
            raise InputError(f"an image of over {MAX_FILE_BYTES >> 20} MiB, or over {MAX_BYTES >> 30} GiB in all")
        file.write(data)

    def find_root(self, known: Collection[str] = ()) -> tuple[Path, str | None]:
        """Return the folder that holds the class folders, and a note where that is not obvious, or files were left out.

        known: classes of the scholar; see `LayoutReader.enter_outer_folder`

        Raises InputError where the outer folder may be a class or hold them, and where there is no image.
        """
        left_out = describe_skipped(self._skipped) if self._skipped else None
        if not self.folder.is_dir():
            raise InputError(f"the upload holds no image{f' ({left_out})' if left_out else ''}")
        reader = LayoutReader(FolderTree(self.folder), known=tuple(known))
        with called(self.folder, "the upload"):
            reader.enter_outer_folder()
        return self.folder / reader.root, "; ".join(filter(None, (*reader.notes, left_out))) or None


def check_archive(path: Path, known: Collection[str] = ()) -> None:
    """Raise InputError for an archive that is damaged or hostile, or has no folders of classes.

    known: classes of the scholar; see `LayoutReader.enter_outer_folder`
    """
    limits = Limits(MAX_FILES, MAX_BYTES, MAX_FILE_BYTES, MAX_DIRECTORY_BYTES, "teach them by `scholars learn`")
    with called(path, "the archive"), closing(Archive(path, limits)) as archive:
        list_images(archive, PurePosixPath(), known=tuple(known))


@contextmanager
def called(path: Path, name: str) -> Iterator[None]:
    """Call a path by this name in errors: who sent it does not know where it is stored here."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(path), name)) from None


def _is_storable(path: PurePosixPath) -> bool:
    try:
        sizes = [len(part.encode()) for part in path.parts]
    except UnicodeEncodeError:
        return False
    return len(sizes) <= _MAX_DEPTH and max(sizes, default=0) <= _MAX_NAME_BYTES
