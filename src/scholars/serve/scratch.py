"""Where a studio keeps what is sent to it until that is taught: gone with the studio, however that ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX, _HELD = "scholars-studio-", "lock"


class Scratch:
    """A folder of this process's own among the system's temporary ones.

    One that was killed cannot clear up. Whoever begins next does it: what nobody holds is nobody's.
    """

    def __init__(self) -> None:
        for other in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _remove_abandoned(other)
        while True:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = FileLock(self._folder / _HELD)
            # Between the two lines above another studio that begins may take it for abandoned.
            with suppress(Timeout, OSError):
                self._lock.acquire(timeout=0)
                return

    def new(self) -> Path:
        """A new folder for one task."""
        return Path(tempfile.mkdtemp(prefix="task-", dir=self._folder))

    def close(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.release()


def _remove_abandoned(folder: Path) -> None:
    # What another user made may be a trap: the lock in it a link to a file of ours.
    if folder.is_symlink() or not folder.is_dir() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
        return
    with suppress(Timeout, OSError), FileLock(folder / _HELD).acquire(timeout=0):
        shutil.rmtree(folder, ignore_errors=True)
