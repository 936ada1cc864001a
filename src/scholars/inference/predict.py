"""Predict the classes of image files, which threads find and decode, in constant memory."""

import csv
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scholars.errors import InputError, shortlist, visible
from scholars.scholar import Scholar
from scholars.scholar.inputs import decode
from scholars.storage.files import expand_user
from scholars.tasks.archives import is_in_archive, is_member, read_path
from scholars.tasks.folder import iter_image_files
from scholars.tasks.skipped import Skipped, describe_skipped

# Photographs at a time.
_PHOTOS = 64


@dataclass(frozen=True)
class Prediction:
    """The predicted classes of one image.

    file: None for an image that was not read from a file
    guesses: (class name, probability), the most probable first
    unfamiliar: whether the image is unlike everything learned; None: no out-of-distribution detector
    """

    file: Path | None
    guesses: tuple[tuple[str, float], ...]
    unfamiliar: bool | None

    def to_json(self) -> dict[str, Any]:
        """Return the guesses and ``unfamiliar`` as ``predict --json`` and the studio write them."""
        guesses = [{"class": name, "probability": probability} for name, probability in self.guesses]
        return {"guesses": guesses, "unfamiliar": self.unfamiliar}


def predict_images(
    scholar: Scholar, images: Tensor, among: str | None = None, top: int | None = None
) -> Iterator[Prediction]:
    """Yield the prediction of each of the images ``[B, C, H, W]`` uint8, of the scholar's own shape.

    among: consider only the classes of this task
    top: number of guesses; default: all classes
    """
    features, logits = scholar.features_and_logits(images)
    probabilities = scholar.restrict_to_task(F.softmax(logits, dim=1), among).numpy()
    known = scholar.ood
    strange = known.unfamiliar(features, logits).tolist() if known else [None] * len(images)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    for row, order, unfamiliar in zip(probabilities, best, strange, strict=True):
        guesses = tuple((scholar.classes[i], float(row[i])) for i in order if row[i] > 0)
        yield Prediction(None, guesses, unfamiliar)


def find_images(
    words: Iterable[str], skipped: list[Skipped] | None = None, follow_links: str | Path | None = None
) -> Iterator[Path]:
    """Yield the image files that ``words`` name: files, folders and what is in them, or patterns such as ``*.png``.

    Also archives, and folders and files in them: ``photos.zip``, ``photos.zip/cat``, ``photos.zip/cat/0.png``.

    skipped: the files in folders that are left out are added to it
    follow_links: a folder into which links in folders may lead; else they must stay in the folder itself

    Raises InputError on reaching a word that names none.
    """
    left_out: list[Skipped] = [] if skipped is None else skipped
    for word in words:
        path = expand_user(word)
        is_one = is_member(path)
        holds_files = path.is_dir() or (is_in_archive(path) and not is_one)
        if holds_files:
            files = iter_image_files(path, left_out, follow_links)
        elif is_one or path.exists():
            files = iter([path])
        else:
            files = iter(_matching(path))
        first = next(files, None)
        if first is None:
            why = f" ({describe_skipped(left_out)})" if left_out else ""
            none = f"the {'folder' if path.is_dir() else 'archive'} holds none{why}"
            raise InputError(f"no image at {word}: {none if holds_files else 'no such file'}")
        yield first
        yield from files


def _matching(pattern: Path) -> list[Path]:
    start = Path(pattern.anchor)
    try:
        return sorted(file for file in start.glob(str(pattern.relative_to(start))) if file.is_file())
    except (ValueError, NotImplementedError) as error:  # pathlib raises them for "a**b"
        raise InputError(f"{pattern}: {error}") from None


def predict_files(
    scholar: Scholar,
    files: Iterable[Path],
    *,
    among: str | None = None,
    top: int = 1,
    unreadable: list[Skipped] | None = None,
) -> Iterator[Prediction]:
    """Yield a `Prediction` of ``top`` guesses for each file, in their order.

    among: consider only the classes of this task
    unreadable: the files that cannot be read are appended, each with the reason

    Without ``unreadable``, raises InputError for such files after the predictions of all others.
    """
    # Each of these threads computes in one thread: two of them are faster than one that computes in two.
    workers = os.cpu_count() or 1
    pending: deque[tuple[Sequence[Path], Future[list[Prediction]]]] = deque()
    bad: list[Skipped] = [] if unreadable is None else unreadable

    def first() -> Iterator[Prediction]:
        chunk, found = pending.popleft()
        for file, one in zip(chunk, found.result(), strict=True):
            yield replace(one, file=file)

    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for chunk in _decoded(files, scholar):
            bad += chunk.bad
            if chunk.files:
                found = pool.submit(lambda images: list(predict_images(scholar, images, among, top)), chunk.images)
                pending.append((chunk.files, found))
            if len(pending) > workers:
                yield from first()
        while pending:
            yield from first()
    if bad and unreadable is None:
        raise InputError(
            "images that cannot be read:\n" + shortlist([f"  {each.file}: {each.reason}" for each in bad], "\n")
        )


@dataclass(frozen=True)
class _Chunk:
    """Files with their images ``[B, C, S, S]``, and files that cannot be read, with the reason."""

    files: Sequence[Path]
    images: Tensor
    bad: Sequence[Skipped]


def _decoded(files: Iterable[Path], scholar: Scholar) -> Iterator[_Chunk]:
    """Yield the decoded files in the scholar's shape; the next ones are decoded while these are in use."""
    # A backbone takes milliseconds an image: chunks are so small that all threads have some.
    shape, count = scholar.settings.image, _PHOTOS if scholar.backbone else scholar.chunk_size

    def decode_some(chunk: Sequence[Path]) -> _Chunk:
        results = decode(read_path, [str(file) for file in chunk], shape, scholar.backbone)
        pairs = list(zip(chunk, results, strict=True))
        pictures = [result for _, result in pairs if not isinstance(result, str)]
        none = np.empty((0, shape.channels, shape.size, shape.size), np.uint8)
        return _Chunk(
            [file for file, result in pairs if not isinstance(result, str)],
            torch.from_numpy(np.stack(pictures) if pictures else none),
            [Skipped(str(file), result) for file, result in pairs if isinstance(result, str)],
        )

    remaining = iter(files)
    with ThreadPoolExecutor(1) as reader:
        ready: Future[_Chunk] | None = None
        while chunk := list(islice(remaining, count)):
            coming = reader.submit(decode_some, chunk)
            if ready:
                yield ready.result()
            ready = coming
        if ready:
            yield ready.result()


def write_text(found: Iterable[Prediction], out: IO[str], skipped: Sequence[Skipped] = ()) -> None:
    """Write one line per image, for people."""
    for p in found:
        guesses = ", ".join(f"{name} {100 * value:.1f} %" for name, value in p.guesses)
        name = visible(str(p.file)).replace("\n", "\\n")
        out.write(f"{name}: {guesses}{' (unfamiliar)' if p.unfamiliar else ''}\n")


def write_csv(found: Iterable[Prediction], out: IO[str], skipped: Sequence[Skipped] = ()) -> None:
    """Write CSV: a header, and one line per guess."""
    writer = csv.writer(out)
    writer.writerow(["file", "class", "probability", "unfamiliar"])
    for p in found:
        strange = "" if p.unfamiliar is None else str(p.unfamiliar).lower()
        writer.writerows([p.file, name, f"{value:.6f}", strange] for name, value in p.guesses)


def write_json(found: Iterable[Prediction], out: IO[str], skipped: Sequence[Skipped] = ()) -> None:
    """Write one JSON document, when all predictions are made; with the files that were left out."""
    rows = [{"file": str(p.file), **p.to_json()} for p in found]
    document = {"predictions": rows, "skipped": [asdict(each) for each in skipped]}
    out.write(json.dumps(document, ensure_ascii=False, indent=1) + "\n")


FORMS: dict[str, Callable[[Iterable[Prediction], IO[str], Sequence[Skipped]], None]] = {
    "text": write_text,
    "csv": write_csv,
    "json": write_json,
}
