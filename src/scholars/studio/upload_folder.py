"""Temporary folders for uploads. What a killed studio leaves, the next studio removes when it starts."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

_PREFIX, _LOCK_NAME = "scholars-task-", "lock"


class UploadFolder:
    """A new temporary folder, locked by this process until it is closed."""

    def __init__(self) -> None:
        while True:
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Another thread may release it.
            self._lock = FileLock(self.folder / _LOCK_NAME, thread_local=False)
            try:
                self._lock.acquire(timeout=0)
            except (Timeout, FileNotFoundError):
                # Another studio is starting and removed the folder before it was locked.
                continue
            except (OSError, NotImplementedError):
                # This file system has no locks: `remove_stale_uploads` then removes nothing.
                pass
            return

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


class ActiveUploads:
    """The uploads that are being received."""

    def __init__(self) -> None:
        self._requests: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def receive(self) -> AsyncIterator[UploadFolder]:
        """Provide a folder for the upload of the current request; remove it if the request fails or is cancelled."""
        folder, request = UploadFolder(), asyncio.current_task()
        assert request is not None
        self._requests.add(request)
        try:
            yield folder
        except BaseException:
            await asyncio.to_thread(folder.close)
            raise
        finally:
            self._requests.discard(request)

    async def wait(self) -> None:
        """Wait for the uploads to end. A server that shuts down has cancelled their requests."""
        await asyncio.gather(*self._requests, return_exceptions=True)


def remove_stale_uploads() -> None:
    """Remove the folders that killed studios left: those that no process has locked."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(Timeout, OSError, NotImplementedError):
            # Another user's folder may be a trap: a link to one of ours, or with a link to our file as its lock.
            if not folder.is_symlink() and (not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()):
                with FileLock(folder / _LOCK_NAME).acquire(timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
