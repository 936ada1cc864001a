"""Work on millions of images: shard by shard, in constant memory; interrupted, it goes on where it stopped.

What is made grows in a hidden folder beside its place, and moves there when it is whole. A shard is always made by the
same function, here or by many workers on a Ray cluster, which share the file system.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from scholars import store
from scholars.clusters import available, cluster, imported, reason
from scholars.errors import InputError, ScholarsError
from scholars.registry import load_missing, plugins

# Images of a shard, about: what is made anew after an interruption, and what a folder holds without being unkind.
SHARD = 10_000
_JOB, _DONE, _MADE, _HELD = "job.json", "done", "made", "lock"

Make = Callable[[int], Mapping[str, Any]]


class Job(Protocol):
    """What is to be made, small enough to be sent to every worker."""

    def open(self, work: Workplace) -> Make:
        """Load what all shards need; the result makes one, by its number, and says what is to be noted of it."""
        ...


@dataclass(frozen=True)
class Workplace:
    """Where something grows, and where it will be.

    out: the folder that appears when all is made
    """

    out: Path

    @property
    def folder(self) -> Path:
        """What holds the unfinished work."""
        return self.out.with_name(f".{self.out.name}.unfinished")

    @property
    def made(self) -> Path:
        """What becomes ``out``."""
        return self.folder / _MADE

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, no other process makes ``out``; what was not claimed leaves nothing behind.

        Raises InputError where ``out`` is there, or another process makes it.
        """
        self._check_free()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / _HELD).acquire(timeout=0):
                try:
                    yield
                finally:
                    if not (self.folder / _JOB).is_file():
                        shutil.rmtree(self.folder, ignore_errors=True)
        except Timeout:
            raise InputError(f"another process is making {self.out} just now: wait until it is done") from None

    def _check_free(self) -> None:
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            raise InputError(f"{self.out} is there already: choose another --out, or remove it")

    def claim(self, job: Mapping[str, Any]) -> None:
        """Go on with this very job, or begin it. ``job`` says what is made, of what.

        To be called where it is `held`.

        Raises InputError where ``out`` is there, or the unfinished work of another job: nothing is thrown away.
        """
        note = self.folder / _JOB
        self._check_free()
        mine = {**job, "scholars": version("scholars")}
        if note.is_file() and self.made.is_dir():
            if store.read_json(note) != mine:
                raise InputError(
                    f"{self.folder} holds the unfinished work of another command: give that one again to go on with "
                    "it, or remove the folder"
                )
            return
        for left in self.folder.iterdir():  # by a process that died before it said whose work it is
            if left.name != _HELD:
                shutil.rmtree(left, ignore_errors=True)
        for folder in (self.made, self.folder / _DONE):
            folder.mkdir()
        store.write_json(note, mine)

    def done(self) -> dict[int, dict[str, Any]]:
        """What was noted of the shards that are made, by number."""
        return {int(path.stem): store.read_json(path) for path in sorted((self.folder / _DONE).glob("*.json"))}

    def note(self, shard: int, note: Mapping[str, Any]) -> None:
        """Write down that a shard is made."""
        # In ASCII: it may hold names of files that are no text.
        store.write_text(self.folder / _DONE / f"{shard:05d}.json", json.dumps(note))

    def give_up(self) -> None:
        """Leave nothing behind of work that cannot be done, unless some of it is."""
        if not self.done():
            store.discard(self.folder)

    def finish(self) -> None:
        """Move what was made to its place."""
        if self.out.is_dir():
            self.out.rmdir()
        self.made.rename(self.out)
        shutil.rmtree(self.folder, ignore_errors=True)


def digest_of(scholar: Path) -> str:
    """What tells a scholar's folder from others, from what it says of its weights. Raises InputError."""
    return hashlib.sha256(json.dumps(store.describe_scholar(scholar), sort_keys=True).encode()).hexdigest()


def make(job: Job, work: Workplace, shards: Sequence[int], address: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Make shards and note them: (number, note) of each, as they are made; all of one that is interrupted is made anew.

    address: of a Ray cluster whose workers share the file system; None: this process makes them

    Raises InputError as the job does, ScholarsError where workers fail for good.
    """
    if address is None:
        maker = job.open(work)
        for shard in shards:
            yield shard, _made(maker, work, shard)
        return
    ray = imported()
    from ray import data

    with cluster(address, os.cpu_count() or 1):
        data.DataContext.get_current().enable_progress_bars = False
        gpus = int(available("GPU") > 0)
        many = max(1, int(available("GPU" if gpus else "CPU")))
        # A block for each: a worker is given the next when it is done with one.
        numbers: Any = data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards))
        rows = numbers.map(
            _Worker,
            fn_constructor_args=(job, work, version("scholars"), plugins(), Path.cwd()),
            compute=data.ActorPoolStrategy(min_size=1, max_size=min(many, len(shards))),
            **({"num_gpus": gpus} if gpus else {"num_cpus": 1}),
        ).iter_rows()
        try:
            for row in rows:
                if row["refused"]:
                    raise InputError(row["refused"])
                yield int(row["shard"]), json.loads(row["note"])
        except ray.exceptions.RayError as error:
            raise ScholarsError(
                f"the workers failed ({reason(str(error))}). What was made is kept: the same command goes on"
            ) from None


def _made(maker: Make, work: Workplace, shard: int) -> dict[str, Any]:
    note = dict(maker(shard))
    work.note(shard, note)
    return note


class _Worker:
    """A process on a Ray cluster that makes shards; it loads what they need once."""

    def __init__(self, job: Job, work: Workplace, expected: str, registered: Sequence[str], folder: Path) -> None:
        self._job, self._work, self._expected = job, work, expected
        self._registered, self._folder = registered, folder
        self._maker: Make | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """``{"shard": number}`` -> the same with its note, or with why it is refused: Ray would try that again."""
        shard = int(row["shard"])
        try:
            self._maker = self._maker or self._opened()
            return {"shard": shard, "note": json.dumps(_made(self._maker, self._work, shard)), "refused": ""}
        except InputError as error:
            return {"shard": shard, "note": "", "refused": str(error)}

    def _opened(self) -> Make:
        os.chdir(self._folder)
        if not self._work.made.is_dir():
            raise InputError(
                f"{self._work.folder} is not there on every machine: --out is to be in a folder that all share"
            )
        if (here := version("scholars")) != self._expected:
            raise InputError(f"versions differ: the command is of scholars {self._expected}, a worker has {here}")
        load_missing(self._registered)
        return self._job.open(self._work)
