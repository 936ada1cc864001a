"""Draw a contact sheet of the task ``street``, a row for each class, with real SVHN digits beside it if there are any.

python benchmarks/street_sheet.py [--data-dir DIR] [--out FILE]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from measuring import pages
from PIL import Image

from scholars.tasks.open import open_task
from scholars.tasks.street import draw_street
from scholars.tasks.task import Task

COLUMNS = 16
ZOOM = 2


def sheet(task: Task) -> npt.NDArray[np.uint8]:
    """Return the first test images of each class, ``[10 * 32, COLUMNS * 32, 3]``."""
    rows = [task.test.images[task.test.labels == label][:COLUMNS] for label in range(len(task.classes))]
    return np.concatenate([np.concatenate(list(row.transpose(0, 2, 3, 1)), axis=1) for row in rows])


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path, help="where SVHN is: svhn.npz, or the official files")
    parser.add_argument("--out", type=Path, default=Path("street.png"))
    options = parser.parse_args()
    sheets = [sheet(draw_street(train=1, test=1000))]
    if options.data_dir:
        archive = options.data_dir / "svhn.npz"
        svhn = open_task(archive) if archive.exists() else open_task("svhn", data_dir=options.data_dir)
        gap = np.full((sheets[0].shape[0], 16, 3), 255, dtype=np.uint8)
        sheets += [gap, sheet(svhn)]
    picture = Image.fromarray(np.concatenate(sheets, axis=1))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    size = (picture.width * ZOOM, picture.height * ZOOM)
    picture.resize(size, Image.Resampling.NEAREST).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
