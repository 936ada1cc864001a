"""Write dreams and predictions of millions of images; see `scholars.inference.shards`."""

import csv
import hashlib
import itertools
import json
import math
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import torch

from scholars.compute.ray_cluster import check_reachable
from scholars.errors import InputError, ScholarsWarning, shortlist
from scholars.generators.sampling import check_class_found
from scholars.inference.predict import find_images, predict_files, write_csv
from scholars.inference.shards import SHARD, MakeShard, ShardedOutput, description_digest, run_shards
from scholars.scholar import Scholar
from scholars.storage import files
from scholars.storage.class_folders import class_folder_names
from scholars.storage.image_files import write_images
from scholars.tasks.skipped import Skipped, describe_skipped

# The folder of file lists, one for each shard, in that of the unfinished work.
_LISTS = "files"
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class DreamJob:
    """The arguments of `write_dreams`.

    shard: about how many dreams are drawn for a shard
    digest: of the scholar's description, which must not change before all shards are made
    """

    scholar: Path
    count: int
    seed: int
    of: str | None
    shard: int
    digest: str

    def shard_size(self, scholar: Scholar) -> int:
        """Return how many dreams are drawn for a shard: a whole number of chunks."""
        return max(1, self.shard // scholar.chunk_size) * scholar.chunk_size

    def open(self, work: ShardedOutput) -> MakeShard:
        """Load the scholar; return a function that writes the dreams of one shard."""
        scholar = _load_unchanged(self.scholar, self.digest)
        names = class_folder_names(scholar.classes)
        size = self.shard_size(scholar)
        chunks_per_shard = size // scholar.chunk_size

        def make(number: int) -> Mapping[str, Any]:
            if self.count <= size:
                folders, digits, chunks, count = [work.partial / name for name in names], 6, None, self.count
            else:
                folders, digits = [work.partial / name / f"{number:05d}" for name in names], 9
                chunks = range(number * chunks_per_shard, (number + 1) * chunks_per_shard)
                count = size if self.of else min(size, self.count - number * size)
            for folder in folders:  # left by an interrupted attempt
                shutil.rmtree(folder, ignore_errors=True)
            dreams = scholar.iter_dreams(count, seed=self.seed, of=self.of, chunks=chunks)
            batches = ((batch.inputs, batch.labels) for batch in dreams)
            return {"images": write_images(batches, folders, number * size, digits)}

        return make


def write_dreams(
    scholar: Path,
    count: int,
    out: Path,
    *,
    seed: int = 0,
    of: str | None = None,
    address: str | None = None,
    shard: int = SHARD,
    on_progress: OnProgress = lambda done, total: None,
) -> None:
    """Write the ``count`` dreams of `Scholar.dream` into the new folder ``out``: one folder per class.

    Up to about `SHARD` dreams are ``CLASS/000123.png``; more are ``CLASS/00007/000070123.png``, in folders of no more
    than that. If the call is interrupted, the same call resumes it, and the files are bit for bit the same.

    address: of a Ray cluster that draws them; every worker loads the scholar once
    shard: about how many dreams a shard has
    on_progress: called with (dreams written, count) after every shard of several

    Raises InputError where ``out`` exists, and as `Scholar.iter_dreams` does.
    """
    if count < 1:
        raise InputError(f"cannot dream {count} images: ask for one or more")
    if address:
        check_reachable(address)
    loaded = Scholar.load(scholar)
    if loaded.backbone:
        raise InputError("this scholar has a backbone, and dreams of features, which have no picture: Scholar.dream")
    names = class_folder_names(loaded.classes)
    work = ShardedOutput(out.resolve())
    job = DreamJob(scholar.resolve(), count, seed, of, shard, description_digest(scholar))
    size = job.shard_size(loaded)
    with work.lock():
        work.claim({"dreams": count, "seed": seed, "class": of, "shard": shard, "scholar": job.digest})
        written = {number: int(result["images"]) for number, result in work.results().items()}
        try:
            while todo := _missing_shards(written, count, size, exact=of is None):
                for number, result in run_shards(job, work, todo, address):
                    written[number] = int(result["images"])
                    if count > size:
                        total = min(count, sum(written.values()))
                        on_progress(total, count)
                        if total < count:
                            _check_class_found(work, of, total, size * len(written))
        except InputError:
            work.discard_if_empty()
            raise
        for name in names:
            (work.partial / name).mkdir(exist_ok=True)
        if of:
            _remove_surplus(work.partial / names[loaded.classes.index(of)], written, count)
        work.finish()


def _check_class_found(work: ShardedOutput, of: str | None, found: int, looked_at: int) -> None:
    """Raise InputError, and discard the work, if hardly any dream of all shards so far is of the class."""
    try:
        check_class_found(of, found, looked_at)
    except InputError:
        files.remove_folder(work.folder)
        raise


def _missing_shards(written: Mapping[int, int], count: int, size: int, exact: bool) -> list[int]:
    """Return the shards to be made next.

    written: images by finished shard
    size: how many dreams are drawn for a shard
    exact: whether a shard keeps them all; if not, it is estimated how many more shards are needed
    """
    first = next(number for number in itertools.count() if number not in written)
    remaining = count - sum(written[number] for number in range(first))
    per_shard = size if exact or not written else max(1.0, sum(written.values()) / len(written))
    return [number for number in range(first, first + math.ceil(remaining / per_shard)) if number not in written]


def _remove_surplus(folder: Path, written: Mapping[int, int], count: int) -> None:
    """Remove the images beyond ``count`` from the last shards."""
    for number in sorted(written):
        keep = min(written[number], count)
        count -= keep
        if keep < written[number]:
            place = folder / f"{number:05d}"
            for file in sorted(place.glob("*"))[keep:]:
                file.unlink()
            if not keep and place.is_dir():
                place.rmdir()


@dataclass(frozen=True)
class PredictionJob:
    """The arguments of `write_predictions`."""

    scholar: Path
    among: str | None
    top: int
    digest: str

    def open(self, work: ShardedOutput) -> MakeShard:
        """Load the scholar; return a function that writes the predictions of one shard."""
        scholar = _load_unchanged(self.scholar, self.digest)

        def make(number: int) -> Mapping[str, Any]:
            images = [Path(name) for name in json.loads(_file_list(work.folder, number).read_text())]
            unreadable: list[Skipped] = []
            predictions = predict_files(scholar, images, among=self.among, top=self.top, unreadable=unreadable)
            with _open_csv(work.partial / f"{number:05d}.csv") as file:
                write_csv(predictions, file)
            return {"images": len(images), "unreadable": [[each.file, each.reason] for each in unreadable]}

        return make


def write_predictions(
    scholar: Path,
    words: Iterable[str],
    out: Path,
    *,
    among: str | None = None,
    top: int = 1,
    follow_links: str | Path | None = None,
    skip_unreadable: bool = False,
    address: str | None = None,
    shard: int = SHARD,
    on_progress: OnProgress = lambda done, total: None,
) -> int:
    """Write the predictions of the images that ``words`` name into the new folder ``out``; return the number of images.

    Each of ``00000.csv``, ``00001.csv`` ... has `SHARD` images, in their order, as `write_csv` writes them; files that
    cannot be read are in ``unreadable.csv``, with the reason. If the call is interrupted, the same call resumes it,
    provided that ``words`` name the same files.

    words, follow_links: as for `find_images`
    among, top: as for `predict_files`
    skip_unreadable: whether files that cannot be read are warned of, rather than an error in the end
    address: of a Ray cluster whose machines have these files under the same names; every worker loads the scholar once
    shard: how many images a shard has
    on_progress: called with (images done, all images) after every shard of several

    Raises InputError where ``out`` exists, and for files that cannot be read, after the predictions of all others.
    """
    if address:
        check_reachable(address)
    loaded = Scholar.load(scholar)
    loaded.restrict_to_task(torch.empty(0, len(loaded.classes)), among)  # refuses a task that it never learned
    work = ShardedOutput(out.resolve())
    job = PredictionJob(scholar.resolve(), among, top, description_digest(scholar))
    with work.lock():
        skipped: list[Skipped] = []
        with tempfile.TemporaryDirectory(prefix=f".{work.out.name}.", suffix=".tmp", dir=work.out.parent) as lists:
            count, shards, digest = _write_file_lists(find_images(words, skipped, follow_links), Path(lists), shard)
            work.claim({"files": digest, "among": among, "top": top, "scholar": job.digest})
            if skipped:
                warnings.warn(describe_skipped(skipped), ScholarsWarning, stacklevel=2)
            # Also if the job was claimed before: that process may have been killed right after.
            if not (work.folder / _LISTS).is_dir():
                (Path(lists) / _LISTS).rename(work.folder / _LISTS)
        results = work.results()
        done = sum(result["images"] for result in results.values())
        todo = [number for number in range(shards) if number not in results]
        try:
            for _, result in run_shards(job, work, todo, address):
                done += result["images"]
                if shards > 1:
                    on_progress(done, count)
        except InputError:
            work.discard_if_empty()
            raise
        unreadable = [entry for _, result in sorted(work.results().items()) for entry in result["unreadable"]]
        if unreadable:
            with _open_csv(work.partial / "unreadable.csv") as file:
                csv.writer(file).writerows([["file", "reason"], *unreadable])
        work.finish()
    if unreadable:
        lines = [f"  {name}: {reason}" for name, reason in unreadable]
        text = f"{len(unreadable):,} of {count:,} images cannot be read, all others have predictions; see "
        text += f"{out / 'unreadable.csv'}:\n{shortlist(lines, chr(10))}"
        if not skip_unreadable:
            raise InputError(text)
        warnings.warn(text, ScholarsWarning, stacklevel=2)
    return count


@contextmanager
def _open_csv(path: Path) -> Iterator[IO[str]]:
    """Write a CSV file, atomically; names of files may hold bytes that are no text."""
    with (
        files.atomic_write(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        yield file


def _write_file_lists(images: Iterable[Path], folder: Path, shard: int) -> tuple[int, int, str]:
    """Write the names of the images, ``shard`` in each list; return the numbers of images and lists, and a digest."""
    (folder / _LISTS).mkdir()
    digest, count, shards = hashlib.sha256(), 0, 0
    names = map(str, images)
    while part := list(islice(names, shard)):
        text = json.dumps(part)
        # With absolute paths: from another directory the same relative names are other files.
        digest.update(json.dumps([text, *(str(Path(name).absolute()) for name in part)]).encode())
        _file_list(folder, shards).write_text(text)
        count, shards = count + len(part), shards + 1
    if not count:
        raise InputError("no image is given")
    return count, shards, digest.hexdigest()


def _file_list(folder: Path, shard: int) -> Path:
    return folder / _LISTS / f"{shard:05d}.json"


def _load_unchanged(folder: Path, digest: str) -> Scholar:
    """Load the scholar. Raises InputError if it is not the one with which the work was begun."""
    if description_digest(folder) != digest:
        raise InputError(f"{folder} has changed since this work was begun: it cannot go on")
    return Scholar.load(folder)
