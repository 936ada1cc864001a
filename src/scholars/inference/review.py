"""Find the images of which a scholar is least sure: those whose labels teach it most.

Pool-based active learning by margin sampling (Scheffer, Decomain & Wrobel 2001; Settles 2009, Active Learning
Literature Survey, section 3.1): the smaller the margin between the two most probable classes, the sooner a person is
asked. A margin says nothing about an image of no known class, so unfamiliar images come first.
"""

import csv
import heapq
import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scholars.errors import InputError
from scholars.inference.predict import Prediction, find_images, predict_files
from scholars.scholar import Scholar
from scholars.storage import files
from scholars.tasks.csv_table import name_file
from scholars.tasks.skipped import Skipped

# Images between two reports of progress.
_REPORT_EVERY = 1000
# `scholars learn` reads the first two; a person fills in the second, and is helped by the others.
_COLUMNS = ("file", "label", "guess", "probability", "second_guess", "second_probability", "unfamiliar")
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Review:
    """The images of which a scholar is least sure.

    predictions: with the two best guesses each; unfamiliar images first, then by `margin`, the smallest first
    images: how many images were looked at
    unfamiliar: how many of these are unfamiliar; None: the scholar has no out-of-distribution detector
    unreadable: the files that cannot be read, each with the reason
    skipped: the files in the folder that are no images
    """

    predictions: tuple[Prediction, ...]
    images: int
    unfamiliar: int | None
    unreadable: tuple[Skipped, ...]
    skipped: tuple[Skipped, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what ``review --json`` prints."""
        return {
            "predictions": [{"file": str(p.file), **p.to_json(), "margin": margin(p)} for p in self.predictions],
            "images": self.images,
            "unfamiliar": self.unfamiliar,
            "unreadable": [asdict(each) for each in self.unreadable],
            "skipped": [asdict(each) for each in self.skipped],
        }

    def write_csv(self, path: Path) -> None:
        """Write a CSV file for a person to label: of each image the name, an empty label, and the guesses.

        `open_task` reads it again: images whose label is still empty are left out, and counted.

        Raises InputError where the file exists, and for images that are not in its folder or below; see `check_table`.
        """
        check_table(path)
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        for one in self.predictions:
            assert one.file
            guesses = [cell for name, value in one.guesses for cell in (name, f"{value:.4f}")]
            strange = {None: "", True: "yes", False: "no"}[one.unfamiliar]
            writer.writerow([name_file(path, one.file), "", *guesses, *[""] * (4 - len(guesses)), strange])
        with files.atomic_write(path) as temporary:
            # With the mark by which Excel knows UTF-8.
            temporary.write_bytes(text.getvalue().encode("utf-8-sig"))


def margin(prediction: Prediction) -> float:
    """Return the probability of the best guess minus that of the second, in [0, 1]; `Prediction` has two or all."""
    first, second = (*(value for _, value in prediction.guesses[:2]), 0.0)[:2]
    return first - second


def check_table(path: Path) -> None:
    """Raise InputError where no table for labels can be written: for another ending, or a file that exists."""
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: give the name of a .csv file")
    if path.exists():
        raise InputError(f"{path} exists, and may hold labels that somebody wrote; give another name, or remove it")


def review(
    scholar: Scholar,
    images: Path | str,
    top: int = 20,
    follow_links: str | Path | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> Review:
    """Return the ``top`` images of which a scholar is least sure, of any number; see `Review` for their order.

    images: a folder; those in it and below are looked at. Or a file, or a pattern such as ``new/*.jpg``
    follow_links: links may also lead to what is in this folder
    on_progress: called with (images looked at, all images) after every 1,000

    Raises InputError where there is no image, or none can be read.
    """
    if top < 1:
        raise InputError(f"cannot review {top} images: ask for one or more")
    skipped: list[Skipped] = []
    words = [str(images)]
    total = sum(1 for _ in find_images(words, skipped, follow_links))
    unreadable: list[Skipped] = []
    looked_at = strange = 0

    def counted() -> Iterator[Prediction]:
        nonlocal looked_at, strange
        for one in predict_files(scholar, find_images(words, None, follow_links), top=2, unreadable=unreadable):
            looked_at, strange = looked_at + 1, strange + bool(one.unfamiliar)
            if looked_at % _REPORT_EVERY == 0:
                on_progress(looked_at, total)
            yield one

    found = heapq.nsmallest(top, counted(), key=lambda one: (not one.unfamiliar, margin(one)))
    if not found:
        raise InputError(
            f"{images}: none of {total:,} images can be read; {unreadable[0].file}: {unreadable[0].reason}"
        )
    return Review(tuple(found), looked_at, strange if scholar.ood else None, tuple(unreadable), tuple(skipped))
