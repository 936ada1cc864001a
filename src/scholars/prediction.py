"""What a scholar says of image files: found, decoded by threads, and named, in one stream of constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scholars.errors import InputError
from scholars.scholar import CHUNK, Scholar
from scholars.tasks.folder import image_files, read_pictures
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
            files = _matching(path)
        if not files:
            raise InputError(f"no image at {word}: " + ("the folder holds none" if path.is_dir() else "no such file"))
        found += files
    return found


def _matching(pattern: Path) -> list[Path]:
    start = Path(pattern.anchor)
    try:
        return sorted(file for file in start.glob(str(pattern.relative_to(start))) if file.is_file())
    except (ValueError, NotImplementedError) as error:  # pathlib's way to refuse what is no pattern, as "a**b"
        raise InputError(f"{pattern}: {error}") from None


def predict_files(
    scholar: Scholar, files: Sequence[Path], *, among: str | None = None, top: int = 1
) -> Iterator[Prediction]:
    """One `Prediction` of ``top`` guesses per file, in their order.

    among: only the classes of this task are considered

    Raises InputError for files that cannot be read, naming each.
    """
    shape = scholar.settings.image
    for start in range(0, len(files), CHUNK):
        chunk = files[start : start + CHUNK]
        results = read_pictures(chunk, shape.size)
        bad = [f"  {file}: {result}" for file, result in zip(chunk, results, strict=True) if isinstance(result, str)]
        if bad:
            raise InputError("images that cannot be read:\n" + "\n".join(bad))
        squares = [result.pixels for result in results if not isinstance(result, str)]
        arrays = [square[None, None] if square.ndim == 2 else square.transpose(2, 0, 1)[None] for square in squares]
        images = np.concatenate([fit_images(array, shape.channels, shape.size) for array in arrays])
        probabilities = scholar.predict_proba(images, among)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for file, row, order in zip(chunk, probabilities, best, strict=True):
            yield Prediction(file, tuple((scholar.classes[i], float(row[i])) for i in order if row[i] > 0))
