"""Draw a contact sheet of a task that is drawn, a row for each class.

python benchmarks/contact_sheet.py street|printed [--data-dir DIR] [--out FILE]

With --data-dir, real digits of the same kind stand beside it: those of SVHN beside street digits, of MNIST beside
printed ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from measuring import pages
from PIL import Image

from scholars.tasks.open import open_task
from scholars.tasks.printed import draw_printed
from scholars.tasks.street import draw_street
from scholars.tasks.task import Task

COLUMNS = 16
ZOOM = 2


class Drawn(NamedTuple):
    """A task that is drawn, and the data set of real digits that it resembles."""

    draw: Callable[[int, int], Task]
    real: str


DRAWN = {"street": Drawn(draw_street, "svhn"), "printed": Drawn(draw_printed, "mnist")}


def sheet(task: Task) -> npt.NDArray[np.uint8]:
    """Return the first test images of each class, ``[10 * H, COLUMNS * W, C]``."""
    rows = [task.test.images[task.test.labels == label][:COLUMNS] for label in range(len(task.classes))]
    return np.concatenate([np.concatenate(list(row.transpose(0, 2, 3, 1)), axis=1) for row in rows])


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("task", choices=DRAWN)
    parser.add_argument("--data-dir", type=Path, help="where the real digits are: an .npz, or the official files")
    parser.add_argument("--out", type=Path, help="default: TASK.png")
    options = parser.parse_args()
    drawn = DRAWN[options.task]
    sheets = [sheet(drawn.draw(1, 1000))]
    if options.data_dir:
        gap = np.full((sheets[0].shape[0], 16, sheets[0].shape[2]), 255, dtype=np.uint8)
        sheets += [gap, sheet(open_task(drawn.real, data_dir=options.data_dir))]
    picture = Image.fromarray(np.concatenate(sheets, axis=1).squeeze())
    out = options.out or Path(f"{options.task}.png")
    out.parent.mkdir(parents=True, exist_ok=True)
    size = (picture.width * ZOOM, picture.height * ZOOM)
    picture.resize(size, Image.Resampling.NEAREST).save(out, optimize=True)


if __name__ == "__main__":
    main()
