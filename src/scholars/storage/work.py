"""Resumable work in a folder: which work it is, and a lock that lets one process at a time do it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from scholars.errors import InputError
from scholars.storage.files import is_stale_temp, read_json, remove_folder, write_json


@dataclass(frozen=True)
class WorkFolder:
    """A folder that keeps unfinished work, and a note that tells which work it is.

    note: the name of the file in it that holds ``key``
    key: a JSON object, equal for the same work only
    """

    path: Path
    note: str
    key: Mapping[str, Any]

    def state(self) -> Literal["new", "same", "other", "foreign"]:
        """Return what is in the folder: nothing, the same work, other work, or something without a note."""
        if (self.path / self.note).is_file():
            return "same" if self.noted() == self.key else "other"
        if not self.path.exists():
            return "new"
        empty = self.path.is_dir() and all(is_stale_temp(entry, self.note) for entry in self.path.iterdir())
        return "new" if empty else "foreign"

    def begin(self) -> None:
        """Create the folder and the note, if they are not there."""
        self.path.mkdir(parents=True, exist_ok=True)
        if not (self.path / self.note).is_file():
            write_json(self.path / self.note, self.key)

    def remove(self) -> None:
        """Remove the folder, if it is there."""
        remove_folder(self.path)

    def noted(self) -> dict[str, Any] | None:
        """Return the key of the work that is in the folder; None where there is none, or its note is damaged."""
        try:
            return read_json(self.path / self.note)
        except InputError:
            return None


def check_out_folder(work: WorkFolder, what: str, resume: bool) -> None:
    """Raise InputError unless the folder is new, or holds the same work, a run or a sweep, that is to be resumed.

    what: the name of such work, for messages
    """
    out = work.path
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: --out takes a folder")
    state = work.state()
    if state == "foreign":
        raise InputError(f"{out} is not empty and holds no {what}: choose another --out")
    if state == "other":
        raise InputError(
            f"{out} already holds another {what} (see its {work.note}): choose another --out, or remove it"
        )
    if state == "same" and not resume:
        raise InputError(f"{out} already holds this {what}: add --resume to go on with it, or choose another --out")


@contextmanager
def exclusive(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of ``folder``, a file beside it; the system frees it when the process dies.

    doing: what is done to the folder, for the message: "teaching"

    Raises InputError while another process holds it.
    """
    place = folder.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with hold(place.with_name(f".{place.name}.lock"), f"another process is {doing} {folder} just now"):
        yield


@contextmanager
def hold(lock: Path, busy: str) -> Iterator[None]:
    """Hold a lock file. Raises InputError, saying ``busy``, while another process holds it."""
    try:
        with FileLock(lock).acquire(timeout=0):
            yield
    except Timeout:
        if not lock.exists():  # as in /proc: no file can be created there
            raise InputError(f"{lock.parent} cannot be written to: choose another folder") from None
        raise InputError(f"{busy}: wait until it is done") from None
