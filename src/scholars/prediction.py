"""What a scholar says of image files: found, decoded by threads, and named, in one stream of constant memory."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from scholars.errors import InputError
from scholars.scholar import CHUNK, Scholar
from scholars.tasks.folder import image_files, read_picture
from scholars.tasks.task import fit_images


@dataclass(frozen=True)
class Prediction:
    """What one image was taken for.

    file: where it was found
    guesses: (class name, probability), the likeliest first
    """

    file: Path
    guesses: tuple[tuple[str, float], ...]


def find_images(words: Iterable[str]) -> list[Path]:
    """The image files that ``words`` name: files, folders with all that is in them, or patterns such as ``*.png``.

    Raises InputError for a word that leads to none.
    """
    found: list[Path] = []
    for word in words:
        path = Path(word).expanduser()
        if path.is_dir():
            files = image_files(path)
        elif path.exists():
            files = [path]
        else:
            files = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]  # noqa: PTH207
        if not files:
            raise InputError(f"no image at {word}: " + ("the folder holds none" if path.is_dir() else "no such file"))
        found += files
    return found


def predict_files(
    scholar: Scholar, files: Sequence[Path], *, among: str | None = None, top: int = 1
) -> Iterator[Prediction]:
    """One `Prediction` of ``top`` guesses per file, in their order.

    among: only the classes of this task are considered

    Raises InputError for files that cannot be read, naming each.
    """
    shape = scholar.settings.image
    waiting = iter(files)
    with ThreadPoolExecutor() as pool:

        def decode() -> tuple[list[Path], Iterator[object]]:
            chunk = list(islice(waiting, CHUNK))
            return chunk, pool.map(lambda file: read_picture(file, shape.size), chunk)

        # The next chunk is decoded while this one is looked at.
        ahead = decode()
        while ahead[0]:
            (chunk, results), ahead = ahead, decode()
            arrays, bad = [], []
            for file, result in zip(chunk, results, strict=True):
                if isinstance(result, np.ndarray):
                    pixels = result[None] if result.ndim == 2 else result.transpose(2, 0, 1)
                    arrays.append(fit_images(pixels[None], shape.channels, shape.size))
                else:
                    bad.append(f"  {file}: {result}")
            if bad:
                raise InputError("images that cannot be read:\n" + "\n".join(bad))
            probabilities = scholar.predict_proba(np.concatenate(arrays), among)
            best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
            for file, row, order in zip(chunk, probabilities, best, strict=True):
                yield Prediction(file, tuple((scholar.classes[i], float(row[i])) for i in order if row[i] > 0))
