"""Where what is sent to a studio lies until it is taught: gone with the studio, however that ends."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

_PREFIX, _HELD = "scholars-task-", "lock"


class Scratch:
    """A new folder among the system's temporary ones, held by this process until it is closed."""

    def __init__(self) -> None:
        while True:
            self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            # Released by whichever thread is at hand.
            self._lock = FileLock(self.folder / _HELD, thread_local=False)
            try:
                self._lock.acquire(timeout=0)
            except (Timeout, FileNotFoundError):
                # Before it was held, a studio that begins just now took it for abandoned.
                continue
            except (OSError, NotImplementedError):
                # filelock's words for a file system that has no locks: there nothing is taken for abandoned either.
                pass
            return

    def close(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()


class Receiving:
    """What is being sent just now."""

    def __init__(self) -> None:
        self._requests: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Scratch]:
        """A place for it, which is removed where it is not taken in."""
        scratch, this = Scratch(), asyncio.current_task()
        assert this is not None
        self._requests.add(this)
        try:
            yield scratch
        except BaseException:
            await asyncio.to_thread(scratch.close)
            raise
        finally:
            self._requests.discard(this)

    async def ended(self) -> None:
        """Wait until nothing is sent any more: a server that does not wait for its requests has cancelled them."""
        await asyncio.gather(*self._requests, return_exceptions=True)


def remove_abandoned() -> None:
    """Remove what studios left that were killed: what no process holds. To be called when a studio begins."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(Timeout, OSError, NotImplementedError):
            # What another user made may be a trap: a link to a folder of ours, or in it a lock that is a file of ours.
            if not folder.is_symlink() and (not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()):
                with FileLock(folder / _HELD).acquire(timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)
