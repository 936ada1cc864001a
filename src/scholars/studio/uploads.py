"""Extract uploaded images into one folder per class. Nothing that an upload says about itself is trusted."""

import re
import stat
import struct
import zipfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from scholars.errors import InputError, shortlist
from scholars.tasks.folder import SPLIT_NAMES
from scholars.tasks.image_formats import is_image_name, why_not_read
from scholars.tasks.npz import check_compression
from scholars.tasks.skipped import SkippedFiles, describe_skipped
from scholars.tasks.task import nfc

# Limits of one task; `scholars learn` takes more. A zip file without the zip64 extension lists as many files.
MAX_FILES = 65_535
MAX_BYTES = 2 * 2**30
MAX_FILE_BYTES = 64 * 2**20
# Limits of a path, which every file system takes: folders, bytes of a name.
_MAX_DEPTH, _MAX_NAME_BYTES = 16, 200
# Bytes of a zip file's directory: `zipfile` reads all of it at once, into some ten times the memory.
_MAX_DIRECTORY_BYTES = 16 * 2**20
_BLOCK_BYTES = 2**20
# The end-of-directory record of a zip file: signature, four counts, size and offset of the directory, length of the
# comment. A zip64 file, of more entries or over 4 GiB, has a locator of so many bytes before it.
_END_RECORD, _ZIP64_LOCATOR_BYTES = struct.Struct("<4s4H2LH"), 20


class UploadExtractor:
    """Writes uploaded files, one at a time, into a new folder. Refuses names that lead out of it, and too much data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = self._bytes = self._file_bytes = 0
        self._stopped = False
        self._skipped = SkippedFiles()

    def stop(self) -> None:
        """Let every further `write` fail."""
        self._stopped = True

    def open(self, name: str) -> BinaryIO | None:
        """Create the file called ``name`` (``CLASS/FILE``, or deeper); return None for one that is no image.

        Raises InputError for a name that is not inside a class folder or cannot be stored, and for too many files.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        # A colon in a folder's name may mean a drive. In a file's name it is harmless, as in the time of a screenshot:
        # files are renamed.
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:-1]) or "\0" in name:
            raise InputError(f"the name {name!r} leads out of the archive")
        if not _is_storable(path):
            raise InputError(f"the name {name[:100]!r} is too long, too deep or not valid for a file here")
        if any(part.startswith((".", "__MACOSX")) for part in path.parts):
            return None
        if not is_image_name(path.name):
            if why := why_not_read(path.name):
                self._skipped.add(path, why)
            return None
        if len(path.parts) < 2:
            raise InputError(f"{name!r} is in no folder: put the images of each class into a folder named after it")
        self._files += 1
        if self._files > MAX_FILES:
            raise InputError(f"more than {MAX_FILES:,} images: teach them by `scholars learn`")
        self._file_bytes = 0
        # Messages show the name: it gets no character that a terminal or a page would obey, and a number to be unique.
        stem = re.sub(r"[^\w .()\[\]+,;=@-]", "_", path.stem)
        target = self.folder.joinpath(*path.parts[:-1], f"{stem}-{self._files:06d}{path.suffix.lower()}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            return target.open("xb")
        except (FileExistsError, NotADirectoryError):
            name = str(target.relative_to(self.folder))
            raise InputError(f"{name!r} and another name are a file and a folder of the same name") from None

    def write(self, file: BinaryIO, data: bytes) -> None:
        """Write to the file that was opened last. Raises InputError for too much data."""
        if self._stopped:
            raise InputError("the studio is closed")
        self._file_bytes += len(data)
        self._bytes += len(data)
        if self._file_bytes > MAX_FILE_BYTES or self._bytes > MAX_BYTES:
            raise InputError(f"an image of over {MAX_FILE_BYTES >> 20} MiB, or over {MAX_BYTES >> 30} GiB in all")
        file.write(data)

    def find_root(self, known: Collection[str] = ()) -> tuple[Path, str | None]:
        """Return the folder that holds the class folders, and a note where that is not obvious, or files were left out.

        known: classes of the scholar. A single outer folder holds the class folders, unless it is called like one of
            these: then it is that class, with all images in it.

        Raises InputError where the outer folder may be either, and where there is no image.
        """
        left_out = describe_skipped(counts) if (counts := self._skipped.counts()) else None
        if not self.folder.is_dir():
            raise InputError(f"the upload holds no image{f' ({left_out})' if left_out else ''}")
        root, note, entries = self.folder, None, list(self.folder.iterdir())
        while len(entries) == 1 and entries[0].is_dir() and nfc(entries[0].name) not in known:
            inside = list(entries[0].iterdir())
            folders = sorted(entry.name for entry in inside if entry.is_dir())
            if not folders:
                break
            root, entries = entries[0], inside
            if len(folders) < len(inside):
                raise InputError(
                    f"{root.name!r} holds images and folders: is it a class, or are they? Put the class folders side "
                    "by side"
                )
            if {name.casefold() for name in folders} <= SPLIT_NAMES:
                note = None
            else:
                note = f"the classes are the folders in {root.name!r}: {shortlist(folders, ', ')}"
        return root, "; ".join(filter(None, (note, left_out))) or None


def unpack(archive: Path, extractor: UploadExtractor) -> None:
    """Extract a zip file of class folders. Raises InputError for a damaged or hostile one."""
    try:
        _check_directory(archive)
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if entry.is_dir():
                    continue
                if stat.S_ISLNK(entry.external_attr >> 16):
                    raise InputError(f"{entry.filename!r} is a link: an archive of images holds files only")
                check_compression(entry, "the archive")
                if file := extractor.open(entry.filename):
                    with file, opened.open(entry) as packed:
                        # Counted as it is unpacked: the sizes in the directory may be wrong.
                        while data := packed.read(_BLOCK_BYTES):
                            extractor.write(file, data)
    except InputError:
        raise
    except Exception as error:  # the decompressors raise various errors on damaged data
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise InputError(f"the file is not a zip file that can be unpacked: {why}") from None


def _check_directory(archive: Path) -> None:
    """Raise InputError for a zip file with too large a directory, before `zipfile` reads it."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - _END_RECORD.size - _ZIP64_LOCATOR_BYTES - 2**16))
        tail = file.read()
    # Found as `zipfile` finds it: at the very end, else the last signature.
    at = len(tail) - _END_RECORD.size
    if at < 0 or tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + _END_RECORD.size:
        return  # no zip file: `zipfile` says so
    directory_bytes = _END_RECORD.unpack_from(tail, at)[5]
    is_zip64 = tail[max(0, at - _ZIP64_LOCATOR_BYTES) : at].startswith(b"PK\6\7")
    if is_zip64 or directory_bytes > _MAX_DIRECTORY_BYTES:
        raise InputError(f"more than {MAX_FILES:,} files: teach them by `scholars learn`")


def _is_storable(path: PurePosixPath) -> bool:
    try:
        sizes = [len(part.encode()) for part in path.parts]
    except UnicodeEncodeError:
        return False
    return len(sizes) <= _MAX_DEPTH and max(sizes, default=0) <= _MAX_NAME_BYTES
