"""Dreams and predictions by the million, in shards that this process or a Ray cluster makes; see `scholars.shards`."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from scholars import store
from scholars.clusters import reachable
from scholars.errors import InputError
from scholars.gallery import class_folders, write_images
from scholars.prediction import find_images, predict_files, write_csv
from scholars.scholar import Scholar, check_dreamt_of
from scholars.shards import SHARD, Make, Workplace, digest_of, make

# Files that cannot be read that a message names; ``unreadable.csv`` has all.
_NAMED = 5
_LISTS = "files"
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Dreams:
    """Dreams of a scholar, one image file each; see `write_dreams`.

    shard: how many a shard looks at, about
    digest: of the scholar, which must not change meanwhile
    """

    scholar: Path
    count: int
    seed: int
    of: str | None
    shard: int
    digest: str

    def size(self, scholar: Scholar) -> int:
        """How many dreams a shard looks at: a whole number of chunks."""
        return max(1, self.shard // scholar.chunk) * scholar.chunk

    def open(self, work: Workplace) -> Make:
        """See `scholars.shards.Job`."""
        scholar = _opened(self.scholar, self.digest)
        names = class_folders(scholar.classes)
        size = self.size(scholar)
        each = size // scholar.chunk

        def made(number: int) -> Mapping[str, Any]:
            if self.count <= size:
                within, digits, chunks, count = [work.made / name for name in names], 6, None, self.count
            else:
                within, digits = [work.made / name / f"{number:05d}" for name in names], 9
                chunks = range(number * each, (number + 1) * each)
                count = size if self.of else min(size, self.count - number * size)
            for folder in within:  # of an attempt that was interrupted
                shutil.rmtree(folder, ignore_errors=True)
            dreamt = scholar.dreaming(count, seed=self.seed, of=self.of, chunks=chunks)
            batches = ((batch.images, batch.labels) for batch in dreamt)
            return {"images": write_images(batches, within, number * size, digits)}

        return made


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
    """Write ``count`` dreams, as `Scholar.dream` has them, into the new folder ``out``: one folder per class.

    Up to about `SHARD` dreams are ``CLASS/000123.png``; more are ``CLASS/00007/000070123.png``, in folders of no more
    than that. Interrupted, the same call goes on; the files are the same to the last bit.

    address: of a Ray cluster that is to make them; every worker loads the scholar once
    shard: images of a shard, about
    on_progress: told (dreams made, count) after every shard of several

    Raises InputError for what is there already, and as `Scholar.dreaming` does.
    """
    if count < 1:
        raise InputError(f"cannot dream {count} images: ask for one or more")
    if address:
        reachable(address)
    opened = Scholar.load(scholar)
    names = class_folders(opened.classes)
    work = Workplace(out.resolve())
    job = Dreams(scholar.resolve(), count, seed, of, shard, digest_of(scholar))
    size = job.size(opened)
    with work.held():
        work.claim({"dreams": count, "seed": seed, "class": of, "shard": shard, "scholar": job.digest})
        found = {number: int(note["images"]) for number, note in work.done().items()}
        try:
            while todo := _missing(found, count, size, exact=of is None):
                for number, note in make(job, work, todo, address):
                    found[number] = int(note["images"])
                    if count > size:
                        dreamt = min(count, sum(found.values()))
                        on_progress(dreamt, count)
                        if dreamt < count:
                            _check_hope(work, of, dreamt, size * len(found))
        except InputError:
            work.give_up()
            raise
        for name in names:
            (work.made / name).mkdir(exist_ok=True)
        if of:
            _cut(work.made / names[opened.classes.index(of)], found, count)
        work.finish()


def _check_hope(work: Workplace, of: str | None, dreamt: int, looked: int) -> None:
    """`check_dreamt_of`, over all shards: in one of them a rare class may be missing. What is hopeless is not kept."""
    try:
        check_dreamt_of(of, dreamt, looked)
    except InputError:
        store.discard(work.folder)
        raise


def _missing(found: Mapping[int, int], count: int, size: int, exact: bool) -> list[int]:
    """The shards to be made next. Unless a shard holds exactly ``size``, as many as seem to be needed by now."""
    whole = next(number for number in itertools.count() if number not in found)
    left = count - sum(found[number] for number in range(whole))
    each = size if exact or not found else max(1.0, sum(found.values()) / len(found))
    return [number for number in range(whole, whole + math.ceil(left / each)) if number not in found]


def _cut(folder: Path, found: Mapping[int, int], count: int) -> None:
    """Remove what the last shards hold beyond ``count`` images."""
    for number in sorted(found):
        keep = min(found[number], count)
        count -= keep
        if keep < found[number]:
            place = folder / f"{number:05d}"
            for file in sorted(place.glob("*"))[keep:]:
                file.unlink()
            if not keep and place.is_dir():
                place.rmdir()


@dataclass(frozen=True)
class Predictions:
    """What a scholar takes images for, as CSV; see `write_predictions`."""

    scholar: Path
    among: str | None
    top: int
    digest: str

    def open(self, work: Workplace) -> Make:
        """See `scholars.shards.Job`."""
        scholar = _opened(self.scholar, self.digest)

        def made(number: int) -> Mapping[str, Any]:
            files = [Path(name) for name in json.loads(_list_of(work.folder, number).read_text())]
            bad: list[tuple[Path, str]] = []
            found = predict_files(scholar, files, among=self.among, top=self.top, unreadable=bad)
            with (
                store.replacing(work.made / f"{number:05d}.csv") as path,
                path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
            ):
                write_csv(found, file)
            return {"images": len(files), "unreadable": [[str(name), why] for name, why in bad]}

        return made


def write_predictions(
    scholar: Path,
    words: Iterable[str],
    out: Path,
    *,
    among: str | None = None,
    top: int = 1,
    address: str | None = None,
    shard: int = SHARD,
    on_progress: OnProgress = lambda done, total: None,
) -> int:
    """Write what the images that ``words`` lead to are taken for into the new folder ``out``; returns their number.

    Each of ``00000.csv``, ``00001.csv`` ... is of `SHARD` images, in their order, as `write_csv` writes it; files that
    cannot be read are in ``unreadable.csv``, with the reason. Interrupted, the same call goes on, if it leads to the
    same files.

    words: as for `find_images`
    among, top: as for `predict_files`
    address: of a Ray cluster whose machines see these files under the same names; every worker loads the scholar once
    shard: images of a shard
    on_progress: told (images seen, all) after every shard of several

    Raises InputError for what is there already, and at the end, when all others are named, for files that cannot be
    read.
    """
    if address:
        reachable(address)
    opened = Scholar.load(scholar)
    opened.among(torch.empty(0, len(opened.classes)), among)  # refuses a task that it never learned
    work = Workplace(out.resolve())
    job = Predictions(scholar.resolve(), among, top, digest_of(scholar))
    with work.held():
        with tempfile.TemporaryDirectory(prefix=f".{work.out.name}.", suffix=".tmp", dir=work.out.parent) as listing:
            count, shards, digest = _write_lists(words, Path(listing), shard)
            work.claim({"files": digest, "among": among, "top": top, "scholar": job.digest})
            # Not by whether it was claimed before: that may have been by a process killed right after.
            if not (work.folder / _LISTS).is_dir():
                (Path(listing) / _LISTS).rename(work.folder / _LISTS)
        done = work.done()
        seen = sum(note["images"] for note in done.values())
        try:
            for _, note in make(job, work, [number for number in range(shards) if number not in done], address):
                seen += note["images"]
                if shards > 1:
                    on_progress(seen, count)
        except InputError:
            work.give_up()
            raise
        bad = [entry for _, note in sorted(work.done().items()) for entry in note["unreadable"]]
        if bad:
            with (
                store.replacing(work.made / "unreadable.csv") as path,
                path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
            ):
                csv.writer(file).writerows([["file", "reason"], *bad])
        work.finish()
    if bad:
        lines = "\n".join(f"  {name}: {why}" for name, why in bad[:_NAMED])
        raise InputError(
            f"{len(bad):,} of {count:,} images cannot be read, all others are named; "
            f"see {out / 'unreadable.csv'}:\n{lines}"
        )
    return count


def _write_lists(words: Iterable[str], folder: Path, each: int) -> tuple[int, int, str]:
    """Write the names of the images, ``each`` a file; (images, files, what tells these names from others)."""
    (folder / _LISTS).mkdir()
    digest, count, shards = hashlib.sha256(), 0, 0
    names = (str(file) for file in find_images(words))
    while part := list(islice(names, each)):
        text = json.dumps(part)
        # Where they are, too: elsewhere the same relative names are other files.
        digest.update(json.dumps([text, *(str(Path(name).absolute()) for name in part)]).encode())
        _list_of(folder, shards).write_text(text)
        count, shards = count + len(part), shards + 1
    if not count:
        raise InputError("no image is given")
    return count, shards, digest.hexdigest()


def _list_of(folder: Path, shard: int) -> Path:
    return folder / _LISTS / f"{shard:05d}.json"


def _opened(folder: Path, digest: str) -> Scholar:
    if digest_of(folder) != digest:
        raise InputError(f"{folder} has changed since this work was begun: it cannot go on")
    return Scholar.load(folder)
