"""List and read images in a folder on disk. `scholars.tasks.archives` does so in an archive, by the same interface.

Paths in a tree are relative to its root, with slashes.
"""

import os
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scholars.errors import InputError
from scholars.storage.files import expand_user
from scholars.tasks.decoding import read_file
from scholars.tasks.image_formats import is_hidden, is_image_name, why_not_read

# Folders within each other.
MAX_DEPTH = 100
_LOST = "links that lead nowhere: git annex get or dvc pull fetches what they lead to"


class Entry(NamedTuple):
    """A folder or file in a tree.

    path: below the root
    is_folder: whether it is a folder, or a link to one
    left_out: why the file is not read, for people; None: it is an image
    """

    path: PurePosixPath
    is_folder: bool
    left_out: str | None = None


class Tree(ABC):
    """Folders of files.

    source: the folder or archive on disk
    name: what a task of all of it is called
    is_archive: whether a single folder in it may be no more than what it was packed as
    """

    source: Path
    name: str
    is_archive: bool

    @abstractmethod
    def entries(self, folder: PurePosixPath) -> list[Entry]:
        """Return what is in a folder, in any order; without what is hidden. Raises InputError."""

    @abstractmethod
    def identify(self, folder: PurePosixPath) -> str:
        """Return the same for two paths if links make one folder of them."""

    @abstractmethod
    def read(self, key: str) -> bytes:
        """Return the content of a file, by its path as text. Raises OSError; may be called by several threads."""

    def is_folder(self, path: PurePosixPath) -> bool:
        """Return whether there is such a folder, and nothing on the way to it is hidden."""
        return path == PurePosixPath() or (
            self.is_folder(path.parent)
            and any(entry.is_folder and entry.path == path for entry in self.entries(path.parent))
        )


class FolderTree(Tree):
    """A folder on disk. Links in it may lead to what is in the folder itself, or in one other that is named."""

    is_archive = False

    def __init__(self, folder: Path, follow_links: str | Path | None = None) -> None:
        """Raise InputError if ``follow_links``, into which links may lead, is no folder."""
        self.source, self.name = folder, folder.resolve().name
        self._links = LinkRoots(folder, follow_links)

    def entries(self, folder: PurePosixPath) -> list[Entry]:
        """Return what is in a folder. Raises InputError for links to folders and images that lead out."""
        place = self.source / folder
        try:
            with os.scandir(place) as found:
                visible = [entry for entry in found if not is_hidden(entry.name)]
        except OSError as error:
            raise InputError(f"{place}: cannot be read: {error.strerror or error}") from error
        return [self._check(folder, entry) for entry in visible]

    def identify(self, folder: PurePosixPath) -> str:
        """Return the real path of a folder."""
        return os.path.realpath(self.source / folder)

    def read(self, key: str) -> bytes:
        """Return the content of a file."""
        return read_file(str(self.source / key))

    def _check(self, folder: PurePosixPath, entry: os.DirEntry[str]) -> Entry:
        # A link that leads to itself is an error for `DirEntry.is_dir`.
        is_folder = Path(entry.path).is_dir() if entry.is_symlink() else entry.is_dir()
        used = is_folder or is_image_name(entry.name)
        if entry.is_symlink():
            if used:
                self._links.check(self.source / folder / entry.name)
            elif not Path(entry.path).exists():
                return Entry(folder / entry.name, False, _LOST)
        return Entry(folder / entry.name, is_folder, None if used else why_not_read(entry.name))


class LinkRoots:
    """The folders into which links may lead: the one that is read, and one that the user names."""

    def __init__(self, folder: Path, follow_links: str | Path | None) -> None:
        """Raise InputError if ``follow_links`` is no folder."""
        other = None if follow_links is None else expand_user(follow_links)
        if other is not None and not other.is_dir():
            raise InputError(f"--follow-links {other}: is no folder; name the one that the links lead into")
        self._other = other
        self._roots = [os.path.realpath(root) for root in (folder, other) if root is not None]

    def contains(self, path: Path) -> bool:
        """Return whether a path, or what it leads to, is in these folders."""
        real = Path(os.path.realpath(path))
        return any(real.is_relative_to(root) for root in self._roots)

    def check(self, link: Path) -> None:
        """Raise InputError for a link that leads elsewhere."""
        if not self.contains(link):
            what = "the folder" if self._other is None else f"the folder and {self._other}"
            raise InputError(
                f"{link}: is a link that leaves {what}, to {os.path.realpath(link)}; copy the images in, or name a "
                "folder that links may lead into: --follow-links ROOT"
            )
