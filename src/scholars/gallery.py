"""Images as files: one folder per class, as torchvision's ImageFolder and this project's own reader expect them."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from scholars import store
from scholars.errors import InputError


def write_image_folder(folder: Path, batches: Iterable[tuple[Tensor, Tensor]], classes: Sequence[str]) -> int:
    """Write ``folder/CLASS/000123.png`` for each image, and a folder for each class even if it holds none.

    batches: images ``[B, C, H, W]`` uint8 and labels ``[B]``, indices into ``classes``; one batch is held at a time

    Returns how many were written. The folder appears whole or not at all; one that this function wrote before is
    replaced. Raises InputError where class names cannot be told apart.
    """
    names = class_folders(classes)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        for name in names:
            (fresh / name).mkdir()
        count = write_images(batches, [fresh / name for name in names])
        store.ordinary(fresh)
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return count


def class_folders(classes: Sequence[str]) -> list[str]:
    """What each class's folder is called. Raises InputError where the names cannot be told apart."""
    names = [_folder_name(name) for name in classes]
    if len({name.casefold() for name in names}) != len(names):
        raise InputError(f"class names cannot be told apart as folders: {', '.join(sorted(classes))}")
    return names


def write_images(
    batches: Iterable[tuple[Tensor, Tensor]], folders: Sequence[Path], first: int = 0, digits: int = 6
) -> int:
    """Write each image as a PNG in the folder of its label, numbered from ``first`` on; returns how many.

    batches: as for `write_image_folder`
    folders: one for each label; made when the first image comes
    """
    count = 0
    for image, label in (pair for images, labels in batches for pair in zip(images, labels.tolist(), strict=True)):
        pixels = image.permute(1, 2, 0).squeeze(2) if image.shape[0] == 1 else image.permute(1, 2, 0)
        folders[label].mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.contiguous().numpy()).save(folders[label] / f"{first + count:0{digits}d}.png")
        count += 1
    return count


def write_sheet(path: Path, images: Tensor, zoom: int = 2) -> None:
    """Write images ``[N, C, H, W]`` uint8 as one picture, about as wide as high, each ``zoom`` times its size."""
    columns = math.ceil(len(images) ** 0.5)
    sheet = make_grid(images, nrow=columns, padding=1, pad_value=255)
    pixels = sheet.permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(pixels)
    picture = picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)
    with store.replacing(path) as temporary:
        picture.save(temporary, format="PNG")


def _folder_name(name: str) -> str:
    """A class name as a folder's: no separators, no hidden or relative names, nothing outside the parent."""
    return re.sub(r"[\x00-\x1f/\\\\:*?\"<>|]", "_", name).lstrip(".") or "_"
