"""Archives of image folders. Images are read from them without unpacking; nothing that they say is trusted."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from threading import Lock

from scholars.errors import InputError, ScholarsError, one_line
from scholars.tasks import decoding
from scholars.tasks.archive_formats import ARCHIVE_SUFFIXES, Member, open_format
from scholars.tasks.image_formats import is_hidden, is_image_name, why_not_read
from scholars.tasks.trees import MAX_DEPTH, Entry, FolderTree, Tree

# What images unpack to at most: they are packed already. Of a small archive more: blank bitmaps are hardly packed.
_MAX_RATIO, _MIN_BYTES = 100, 2**30
_ROOT = PurePosixPath()
_opening = Lock()


@dataclass(frozen=True)
class Limits:
    """Limits of what is read from an archive.

    files: files and folders
    total: bytes of all images, unpacked; None: a hundred times the archive, and at least 1 GiB
    each: bytes of an image; None: as for any image file, and only when it is read
    directory: bytes of the list of files
    instead: what to do with a larger one
    """

    files: int = 1_000_000
    total: int | None = None
    each: int | None = None
    directory: int = 2**27
    instead: str = "unpack it, and give the folder"


class Archive(Tree):
    """A zip or tar file of an image folder, open to be read."""

    is_archive = True

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        """Open an archive and list what is in it; its images are not unpacked.

        Raises InputError for one that is damaged, hostile, encrypted or too large.
        """
        self.source, self.name = path, _stem(path)
        self._limits = limits or Limits()
        self._folders: dict[PurePosixPath, list[Entry]] = {_ROOT: []}
        self._members: dict[str, Member] = {}
        self._count = self._bytes = 0
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        self._max_bytes = self._limits.total or max(_MIN_BYTES, _MAX_RATIO * path.stat().st_size)
        try:
            self._format = open_format(path, self._file, self._limits.directory, self._max_bytes)
            for member in self._format.members():
                self._add(member)
        except ScholarsError:
            self.close()
            raise
        except Exception as error:  # the readers of both formats raise whatever the damage leads to
            self.close()
            why = (error.strerror if isinstance(error, OSError) else None) or one_line(error)
            raise InputError(f"{path}: is not an archive that can be read: {why}; copy or pack it again") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def entries(self, folder: PurePosixPath) -> list[Entry]:
        """Return what is in a folder."""
        return self._folders.get(folder, [])

    def identify(self, folder: PurePosixPath) -> str:
        """Return the path of a folder: there are no links."""
        return str(folder)

    def read(self, key: str) -> bytes:
        """Return the content of a file."""
        member = self._members.get(key)
        if member is None:
            raise OSError("is no file of the archive")
        if member.size > decoding.MAX_FILE_BYTES:
            raise OSError(f"is larger than {decoding.MAX_FILE_BYTES >> 20} MiB")
        try:
            return self._format.read(member)
        except Exception as error:  # the same
            raise OSError(f"is damaged in the archive: {one_line(error)}") from error

    def is_file(self, key: str) -> bool:
        """Return whether there is such a file."""
        return key in self._members

    def _add(self, member: Member) -> None:
        """Add a member, unless it is hidden. Raises InputError."""
        path = member_path(member.name, str(self.source))
        if path is None:
            return
        if len(path.parts) > MAX_DEPTH:
            raise InputError(f"{self.source}: {str(path)[:100]!r} is more than {MAX_DEPTH} folders deep")
        if member.kind == "folder":
            self._add_folder(path)
            return
        if member.kind != "file":
            what = "a link" if member.kind == "link" else "no plain file"
            raise InputError(f"{self.source}: {str(path)!r} is {what}: an archive of images holds files only")
        self._add_folder(path.parent)
        if path in self._folders or str(path) in self._members:
            raise InputError(f"{self.source}: holds {str(path)!r} twice; pack it again")
        self._count_one()
        self._members[str(path)] = member
        is_image = is_image_name(path.name)
        self._folders[path.parent].append(Entry(path, False, None if is_image else why_not_read(path.name)))
        if is_image:
            self._check_image(path, member)

    def _check_image(self, path: PurePosixPath, member: Member) -> None:
        if member.refused:
            raise InputError(member.refused)
        each = self._limits.each
        if each is not None and member.size > each:
            raise InputError(f"{self.source}: {str(path)!r} is an image of over {each >> 20} MiB")
        self._bytes += member.size
        if self._bytes > self._max_bytes:
            raise InputError(
                f"{self.source}: its images unpack to over {self._max_bytes >> 20:,} MiB in all, the most that is "
                f"read of this archive: {self._limits.instead}"
            )

    def _add_folder(self, path: PurePosixPath) -> None:
        if path in self._folders:
            return
        self._add_folder(path.parent)
        if str(path) in self._members:
            raise InputError(f"{self.source}: {str(path)!r} is both a file and a folder; pack it again")
        self._count_one()
        self._folders[path] = []
        self._folders[path.parent].append(Entry(path, True))

    def _count_one(self) -> None:
        self._count += 1
        if self._count > self._limits.files:
            raise InputError(
                f"{self.source}: holds more than {self._limits.files:,} files and folders: {self._limits.instead}"
            )


def member_path(name: str, where: str) -> PurePosixPath | None:
    """Return the path of a member of an archive or upload, None if it is hidden. Raises InputError if it leads out."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive or "\0" in name:
        raise InputError(f"{where}: the name {name[:100]!r} leads out of the archive")
    return None if not path.parts or any(is_hidden(part) for part in path.parts) else path


def open_tree(path: Path, follow_links: str | Path | None = None) -> tuple[Tree, PurePosixPath] | None:
    """Return the folder or archive at a path, and the folder in it that is meant; None if there is neither.

    ``photos.zip/cat`` is the folder ``cat`` in an archive.

    follow_links: a folder into which links in a folder may lead

    Raises InputError for an archive that cannot be read, or that has no such folder.
    """
    if path.is_dir():
        return FolderTree(path, follow_links), _ROOT
    if (found := _split(path)) is None:
        return None
    archive, inner = _open(found[0]), found[1]
    if not archive.is_folder(inner):
        raise InputError(f"{path}: the archive {found[0]} has no folder {str(inner)!r} with files")
    return archive, inner


def is_in_archive(path: Path) -> bool:
    """Return whether a path leads to an archive, or into one."""
    return _split(path) is not None


def is_member(path: Path) -> bool:
    """Return whether a path is of a file in an archive."""
    found = _split(path)
    return found is not None and _open(found[0]).is_file(str(found[1]))


def read_path(path: str) -> bytes:
    """Return the content of a file, or of one in an archive: ``photos.zip/cat/0.png``. Raises OSError."""
    found = _split(Path(path))
    return _open(found[0]).read(str(found[1])) if found else decoding.read_file(path)


def _split(path: Path) -> tuple[Path, PurePosixPath] | None:
    """Return the archive that a path leads to or into, and the path in it."""
    for place in (path, *path.parents):
        if place.name.lower().endswith(ARCHIVE_SUFFIXES) and place.is_file():
            return place, PurePosixPath(*path.parts[len(place.parts) :])
    return None


def _open(path: Path) -> Archive:
    state = path.stat()
    with _opening:  # for several threads, once
        return _open_once(path.absolute(), path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8)
def _open_once(absolute: Path, path: Path, modified: int, size: int) -> Archive:
    """Return an archive, open, as it is now: its list of files is not read again for each of them."""
    return Archive(path)


def _stem(path: Path) -> str:
    suffix = max((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), key=len, default="")
    return path.name[: len(path.name) - len(suffix)] or path.name
