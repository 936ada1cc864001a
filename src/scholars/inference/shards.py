"""Process millions of images in shards: resumably, in constant memory, on this machine or on a Ray cluster.

The output grows in a hidden folder beside its place, and moves there when it is complete. A shard has the same content
wherever it is made; the machines of a cluster share the file system.
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

from scholars.compute.ray_cluster import cluster, cluster_resource, import_ray, last_error_line
from scholars.errors import InputError, ScholarsError
from scholars.settings.registry import load_missing, plugins
from scholars.storage import files, scholar_folder
from scholars.storage.work import WorkFolder, hold

# About how many images a shard has: what an interruption costs at most, and as many files as a folder can well hold.
SHARD = 10_000
_JOB, _RESULTS, _PARTIAL, _LOCK = "job.json", "results", "partial", "lock"

MakeShard = Callable[[int], Mapping[str, Any]]


class Job(Protocol):
    """A description of the output that is small enough to be sent to every worker."""

    def open(self, work: ShardedOutput) -> MakeShard:
        """Load what all shards need; return a function that makes the shard of a number, and returns its result."""
        ...


@dataclass(frozen=True)
class ShardedOutput:
    """An output folder that is made shard by shard, and the hidden folder in which it grows.

    out: the folder that appears when all shards are made
    """

    out: Path

    @property
    def folder(self) -> Path:
        """The hidden folder that keeps the unfinished work."""
        return self.out.with_name(f".{self.out.name}.unfinished")

    @property
    def partial(self) -> Path:
        """The folder inside it that becomes ``out``."""
        return self.folder / _PARTIAL

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let no other process make ``out``. If nothing is claimed by the end of the block, nothing is left behind.

        Raises InputError where ``out`` exists, or another process makes it.
        """
        self._check_free()
        self.folder.mkdir(parents=True, exist_ok=True)
        with hold(self.folder / _LOCK, f"another process is making {self.out} just now"):
            try:
                yield
            finally:
                if not (self.folder / _JOB).is_file():
                    shutil.rmtree(self.folder, ignore_errors=True)

    def claim(self, job: Mapping[str, Any]) -> None:
        """Begin or resume a job, inside `lock`; ``job`` is equal for equal output.

        Raises InputError where ``out`` exists, or the work of another job is unfinished: it is left as it is.
        """
        self._check_free()
        work = WorkFolder(self.folder, _JOB, {**job, "scholars": version("scholars")})
        state = work.state()
        # Without it the job was not begun, or its output has been moved to its place.
        if self.partial.is_dir() and state in ("same", "other"):
            if state == "other":
                raise InputError(
                    f"{self.folder} holds the unfinished work of another command: repeat that command to resume "
                    "it, or remove the folder"
                )
            return
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _LOCK:
                entry.unlink()
        for folder in (self.partial, self.folder / _RESULTS):
            folder.mkdir()
        work.begin()

    def _check_free(self) -> None:
        if self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir())):
            raise InputError(f"{self.out} is there already: choose another --out, or remove it")

    def results(self) -> dict[int, dict[str, Any]]:
        """Return the results of the finished shards, by number."""
        return {int(path.stem): files.read_json(path) for path in sorted((self.folder / _RESULTS).glob("*.json"))}

    def record(self, shard: int, result: Mapping[str, Any]) -> None:
        """Record that a shard is finished."""
        # In ASCII: the name of an unreadable file may not be valid Unicode.
        files.write_text(self.folder / _RESULTS / f"{shard:05d}.json", json.dumps(result))

    def discard_if_empty(self) -> None:
        """Remove the unfinished work if no shard is finished."""
        if not self.results():
            files.remove_folder(self.folder)

    def finish(self) -> None:
        """Move the output to its place."""
        if self.out.is_dir():
            self.out.rmdir()
        self.partial.rename(self.out)
        shutil.rmtree(self.folder, ignore_errors=True)


def description_digest(scholar: Path) -> str:
    """Return SHA-256 of a scholar's description, which holds the digests of its weights. Raises InputError."""
    return hashlib.sha256(json.dumps(scholar_folder.read_description(scholar), sort_keys=True).encode()).hexdigest()


def run_shards(
    job: Job, work: ShardedOutput, shards: Sequence[int], address: str | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Make shards and record them; yield number and result of each as it is finished.

    address: of a Ray cluster whose machines share the file system; None: this process makes them

    Raises InputError as the job does, ScholarsError where workers fail for good.
    """
    if address is None:
        make = job.open(work)
        for shard in shards:
            yield shard, _make_and_record(make, work, shard)
        return
    ray = import_ray()
    from ray import data

    with cluster(address, os.cpu_count() or 1):
        data.DataContext.get_current().enable_progress_bars = False
        gpus = int(cluster_resource("GPU") > 0)
        max_workers = max(1, int(cluster_resource("GPU" if gpus else "CPU")))
        # One block per shard: a worker receives the next one when it has finished one.
        numbers: Any = data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards))
        rows = numbers.map(
            _Worker,
            fn_constructor_args=(job, work, version("scholars"), plugins(), Path.cwd()),
            compute=data.ActorPoolStrategy(min_size=1, max_size=min(max_workers, len(shards))),
            **({"num_gpus": gpus} if gpus else {"num_cpus": 1}),
        ).iter_rows()
        try:
            for row in rows:
                if row["error"]:
                    raise InputError(row["error"])
                yield int(row["shard"]), json.loads(row["result"])
        except ray.exceptions.RayError as error:
            raise ScholarsError(
                f"the workers failed ({last_error_line(str(error))}). What was made is kept: the same command resumes "
                "it"
            ) from None


def _make_and_record(make: MakeShard, work: ShardedOutput, shard: int) -> dict[str, Any]:
    result = dict(make(shard))
    work.record(shard, result)
    return result


class _Worker:
    """A process on a Ray cluster that makes shards; it loads what they need once."""

    def __init__(self, job: Job, work: ShardedOutput, expected: str, registered: Sequence[str], folder: Path) -> None:
        self._job, self._work, self._expected = job, work, expected
        self._registered, self._folder = registered, folder
        self._make: MakeShard | None = None

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Map ``{"shard": number}`` to the same with its result, or with an InputError, which Ray is not to retry."""
        shard = int(row["shard"])
        try:
            self._make = self._make or self._open()
            return {"shard": shard, "result": json.dumps(_make_and_record(self._make, self._work, shard)), "error": ""}
        except InputError as error:
            return {"shard": shard, "result": "", "error": str(error)}

    def _open(self) -> MakeShard:
        os.chdir(self._folder)
        if not self._work.partial.is_dir():
            raise InputError(
                f"{self._work.folder} is not there on every machine: --out must be in a folder that all machines share"
            )
        if (here := version("scholars")) != self._expected:
            raise InputError(f"versions differ: the command has scholars {self._expected}, a worker has {here}")
        load_missing(self._registered)
        return self._job.open(self._work)
