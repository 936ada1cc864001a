"""What a scholar says of image files: found, decoded by threads, and named, in one stream of constant memory."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.errors import InputError, shortlist, visible
from scholars.scholar import Scholar
from scholars.settings import ImageSettings
from scholars.store import expanded
from scholars.tasks.folder import image_files
from scholars.tasks.pictures import file_bytes, squares
from scholars.tasks.shapes import in_channels


@dataclass(frozen=True)
class Prediction:
    """What one image was taken for.

    file: where it was found
    guesses: (class name, probability), the likeliest first
    unfamiliar: whether it is unlike anything learned; None where the scholar cannot say
    """

    file: Path
    guesses: tuple[tuple[str, float], ...]
    unfamiliar: bool | None


@dataclass(frozen=True)
class Named:
    """What one image was taken for; see `Prediction`."""

    guesses: tuple[tuple[str, float], ...]
    unfamiliar: bool | None


def named(scholar: Scholar, images: Tensor, among: str | None = None, top: int | None = None) -> Iterator[Named]:
    """What each of the images ``[B, C, H, W]`` uint8, of the scholar's own shape, is taken for.

    among: only the classes of this task are considered
    top: how many guesses; all unless given
    """
    features, logits = scholar.seen(images)
    probabilities = scholar.among(F.softmax(logits, dim=1), among).numpy()
    known = scholar.familiarity
    strange = known.unfamiliar(features, logits).tolist() if known else [None] * len(images)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    for row, order, unfamiliar in zip(probabilities, best, strange, strict=True):
        yield Named(tuple((scholar.classes[i], float(row[i])) for i in order if row[i] > 0), unfamiliar)


def find_images(words: Iterable[str]) -> Iterator[Path]:
    """The image files that ``words`` name: files, folders with all that is in them, or patterns such as ``*.png``.

    Raises InputError for a word that leads to none, when it is come to.
    """
    for word in words:
        path = expanded(word)
        if path.is_dir():
            files = image_files(path)
        elif path.exists():
            files = iter([path])
        else:
            files = iter(_matching(path))
        first = next(files, None)
        if first is None:
            raise InputError(f"no image at {word}: " + ("the folder holds none" if path.is_dir() else "no such file"))
        yield first
        yield from files


def _matching(pattern: Path) -> list[Path]:
    start = Path(pattern.anchor)
    try:
        return sorted(file for file in start.glob(str(pattern.relative_to(start))) if file.is_file())
    except (ValueError, NotImplementedError) as error:  # pathlib's way to refuse what is no pattern, as "a**b"
        raise InputError(f"{pattern}: {error}") from None


def predict_files(
    scholar: Scholar,
    files: Sequence[Path],
    *,
    among: str | None = None,
    top: int = 1,
    unreadable: list[tuple[Path, str]] | None = None,
) -> Iterator[Prediction]:
    """One `Prediction` of ``top`` guesses per file, in their order.

    among: only the classes of this task are considered
    unreadable: is given the files that cannot be read, each with the reason

    Without such a list they raise InputError, which lists them, when all others are named.
    """
    # Each of these threads computes in one thread: two of them do more than one that computes in two.
    workers = os.cpu_count() or 1
    under_way: deque[tuple[Sequence[Path], Future[list[Named]]]] = deque()
    bad: list[tuple[Path, str]] = [] if unreadable is None else unreadable

    def first() -> Iterator[Prediction]:
        chunk, found = under_way.popleft()
        for file, one in zip(chunk, found.result(), strict=True):
            yield Prediction(file, one.guesses, one.unfamiliar)

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for chunk in _decoded(files, scholar.settings.image, scholar.chunk):
            bad += chunk.bad
            if chunk.files:
                found = pool.submit(lambda images: list(named(scholar, images, among, top)), chunk.images)
                under_way.append((chunk.files, found))
            if len(under_way) > workers:
                yield from first()
        while under_way:
            yield from first()
    if bad and unreadable is None:
        raise InputError("images that cannot be read:\n" + shortlist([f"  {file}: {why}" for file, why in bad], "\n"))


@dataclass(frozen=True)
class _Chunk:
    """Some files with their images ``[B, C, S, S]``, and what was wrong with others."""

    files: Sequence[Path]
    images: Tensor
    bad: Sequence[tuple[Path, str]]


def _decoded(files: Sequence[Path], shape: ImageSettings, count: int) -> Iterator[_Chunk]:
    """The files, ``count`` at a time; the next ones are decoded while these are looked at."""

    def decode(chunk: Sequence[Path]) -> _Chunk:
        results = squares(file_bytes, [str(file) for file in chunk], shape.size)
        pairs = list(zip(chunk, results, strict=True))
        pictures = [in_channels(result, shape.channels) for _, result in pairs if not isinstance(result, str)]
        none = np.empty((0, shape.channels, shape.size, shape.size), np.uint8)
        return _Chunk(
            [file for file, result in pairs if not isinstance(result, str)],
            torch.from_numpy(np.stack(pictures) if pictures else none),
            [(file, result) for file, result in pairs if isinstance(result, str)],
        )

    chunks = [files[start : start + count] for start in range(0, len(files), count)]
    with ThreadPoolExecutor(1) as reader:
        ready: Future[_Chunk] | None = None
        for chunk in chunks:
            coming = reader.submit(decode, chunk)
            if ready:
                yield ready.result()
            ready = coming
        if ready:
            yield ready.result()


def write_text(found: Iterable[Prediction], out: IO[str]) -> None:
    """A line an image, for people."""
    for p in found:
        guesses = ", ".join(f"{name} {100 * value:.1f} %" for name, value in p.guesses)
        name = visible(str(p.file)).replace("\n", "\\n")
        out.write(f"{name}: {guesses}{' (unfamiliar)' if p.unfamiliar else ''}\n")


def write_csv(found: Iterable[Prediction], out: IO[str]) -> None:
    """A line a guess, with a header."""
    writer = csv.writer(out)
    writer.writerow(["file", "class", "probability", "unfamiliar"])
    for p in found:
        strange = "" if p.unfamiliar is None else str(p.unfamiliar).lower()
        writer.writerows([p.file, name, f"{value:.6f}", strange] for name, value in p.guesses)


def write_json(found: Iterable[Prediction], out: IO[str]) -> None:
    """One document, whole or not at all."""
    rows = [
        {
            "file": str(p.file),
            "guesses": [{"class": name, "probability": value} for name, value in p.guesses],
            "unfamiliar": p.unfamiliar,
        }
        for p in found
    ]
    out.write(json.dumps({"predictions": rows}, ensure_ascii=False, indent=1) + "\n")


FORMS: dict[str, Callable[[Iterable[Prediction], IO[str]], None]] = {
    "text": write_text,
    "csv": write_csv,
    "json": write_json,
}
