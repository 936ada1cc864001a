"""Read the members of zip and tar files one at a time, into no more memory than they say they need."""

import gzip
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import IO, Any, BinaryIO, Literal, NamedTuple

from scholars.errors import InputError, ScholarsError, one_line
from scholars.tasks.array_cache import resolve_cache_folder
from scholars.tasks.npz import check_compression

_TAR, _TAR_GZ = (".tar",), (".tar.gz", ".tgz")
ARCHIVE_SUFFIXES = (".zip", *_TAR, *_TAR_GZ)
# The end-of-directory record of a zip file: signature, four counts, size and offset of the directory, length of the
# comment. A zip64 file, of more entries or over 4 GiB, has a locator of so many bytes before it, and before that a
# record of its own: signature, its size, two versions, two disks, two counts, size and offset of the directory.
_END_RECORD, _ZIP64_LOCATOR_BYTES, _ZIP64_RECORD = struct.Struct("<4s4H2LH"), 20, struct.Struct("<4sQ2H2L4Q")
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_BLOCK_BYTES = 2**20
_CUT_OFF = "is cut off in the archive"


class Member(NamedTuple):
    """A member of an archive.

    size: bytes when unpacked; no more are ever unpacked
    handle: what `ArchiveFormat.read` takes
    refused: why it cannot be read; None: it can
    """

    name: str
    kind: Literal["file", "folder", "link", "other"]
    size: int
    handle: Any
    refused: str | None = None


class ArchiveFormat(ABC):
    """An open archive."""

    @abstractmethod
    def members(self) -> Iterator[Member]:
        """Yield all members. Raises whatever damage leads to."""

    @abstractmethod
    def read(self, member: Member) -> bytes:
        """Return the content of a member. Raises whatever damage leads to. May be called by several threads."""

    @abstractmethod
    def blocks(self, member: Member) -> Iterator[bytes]:
        """Yield the content of a member, of any size, in blocks. Raises whatever damage leads to."""


def open_format(path: Path, file: BinaryIO, max_directory_bytes: int, max_bytes: int) -> ArchiveFormat:
    """Open an archive, by the ending of its name. Raises InputError, and whatever damage leads to.

    file: the open archive; not to be used by others, and to be closed by the caller
    max_directory_bytes: of the list of a zip file's members
    max_bytes: of what is packed by gzip, unpacked
    """
    name = path.name.lower()
    if name.endswith(_TAR):
        return _Tar(file)
    if name.endswith(_TAR_GZ):
        return _Tar(_unpack_gzip(path, file, max_bytes))
    return _Zip(path, file, max_directory_bytes)


class _Zip(ArchiveFormat):
    def __init__(self, path: Path, file: BinaryIO, max_directory_bytes: int) -> None:
        # `zipfile` reads all of the directory at once, into some ten times the memory.
        if _directory_bytes(file) > max_directory_bytes:
            raise InputError(f"{path}: lists more files than are read from one archive")
        self._zip = zipfile.ZipFile(file)
        self._where = str(path)
        # `zipfile` locks each reading, but not that members are opened and closed.
        self._lock = Lock()

    def members(self) -> Iterator[Member]:
        for info in self._zip.infolist():
            mode = stat.S_IFMT(info.external_attr >> 16)
            kind: Literal["file", "folder", "link", "other"] = "file"
            if mode == stat.S_IFLNK:
                kind = "link"
            elif info.filename.endswith(("/", "\\")):
                kind = "folder"
            elif mode not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "other"
            yield Member(_zip_name(info), kind, info.file_size, info, self._why_refused(info))

    def _why_refused(self, info: zipfile.ZipInfo) -> str | None:
        if info.flag_bits & _ENCRYPTED_FLAG:
            return f"{self._where}: {info.filename!r} is encrypted; unpack the archive with its password"
        try:
            check_compression(info, self._where)
        except InputError as error:
            return str(error)
        return None

    def read(self, member: Member) -> bytes:
        with self._lock:
            packed = self._zip.open(member.handle)
        try:
            # With the size: without it, `zipfile` unpacks all at once and then cuts off what is too much.
            content = packed.read(member.size)
        finally:
            with self._lock:
                packed.close()
        if len(content) < member.size:
            raise OSError(_CUT_OFF)
        return content

    def blocks(self, member: Member) -> Iterator[bytes]:
        with self._lock:
            packed = self._zip.open(member.handle)
        with packed:
            yield from _read_blocks(packed, member.size)


class _Tar(ArchiveFormat):
    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, Lock()

    def members(self) -> Iterator[Member]:
        with tarfile.open(fileobj=self._file, mode="r:") as opened:
            for info in opened:
                kind: Literal["file", "folder", "link", "other"] = "other"
                if info.isdir():
                    kind = "folder"
                elif info.issym() or info.islnk():
                    kind = "link"
                elif info.isreg() and not info.issparse():
                    kind = "file"
                yield Member(info.name, kind, info.size, info.offset_data)
            # `tarfile` ends at the first thing that is no header, as if there were no more.
            self._file.seek(opened.offset)
            if self._file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise OSError("it is cut off or damaged")

    def read(self, member: Member) -> bytes:
        with self._lock:
            self._file.seek(member.handle)
            return self._file.read(member.size)

    def blocks(self, member: Member) -> Iterator[bytes]:
        with self._lock:
            self._file.seek(member.handle)
            yield from _read_blocks(self._file, member.size)


def _read_blocks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield the next ``size`` bytes of a file. Raises OSError where there are fewer."""
    while size:
        block = file.read(min(size, _BLOCK_BYTES))
        if not block:
            raise OSError(_CUT_OFF)
        size -= len(block)
        yield block


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member: macOS writes UTF-8 without the flag that says so."""
    if info.flag_bits & _UTF8_FLAG:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _directory_bytes(file: BinaryIO) -> int:
    """Return the size of a zip file's directory as it says itself; 0 for what is no zip file, as `zipfile` will say."""
    size = file.seek(0, 2)
    start = max(0, size - _END_RECORD.size - _ZIP64_LOCATOR_BYTES - _ZIP64_RECORD.size - 2**16)
    file.seek(start)
    tail = file.read()
    # Found as `zipfile` finds it: at the very end, else the last signature.
    at = len(tail) - _END_RECORD.size
    if at < 0 or tail[at : at + 4] != b"PK\5\6" or tail[-2:] != b"\0\0":
        at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) < at + _END_RECORD.size:
        return 0
    locator = at - _ZIP64_LOCATOR_BYTES
    if locator < 0 or not tail.startswith(b"PK\6\7", locator):
        return int(_END_RECORD.unpack_from(tail, at)[5])
    record = locator - _ZIP64_RECORD.size
    if record < 0 or not tail.startswith(b"PK\6\6", record):
        raise OSError("its list of files is damaged")
    return int(_ZIP64_RECORD.unpack_from(tail, record)[8])


def _unpack_gzip(path: Path, file: BinaryIO, max_bytes: int) -> BinaryIO:
    """Return what is packed by gzip as a file without a name, which is gone when it is closed.

    In the cache folder: there is more room than where the system keeps temporary files.
    """
    folder = resolve_cache_folder()
    try:
        with ExitStack() as stack:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy = stack.enter_context(tempfile.TemporaryFile(dir=folder))
            with gzip.open(file) as packed:
                while block := packed.read(_BLOCK_BYTES):
                    copy.write(block)
                    if copy.tell() > max_bytes:
                        raise InputError(
                            f"{path}: unpacks to more than {max_bytes >> 20:,} MiB: more than images would"
                        )
            copy.seek(0)
            stack.pop_all()  # it stays open for its reader
            return copy
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked: {one_line(error)}") from error
    except OSError as error:
        raise ScholarsError(
            f"{path} cannot be unpacked in {folder}: {error.strerror or error}; make room, or name another folder with "
            "$SCHOLARS_CACHE"
        ) from error
