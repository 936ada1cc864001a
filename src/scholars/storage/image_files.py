"""Write images as PNG files: one folder per class, as torchvision's ImageFolder and `open_task` read them."""

import base64
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from scholars.storage import files
from scholars.storage.class_folders import class_folder_names


def write_image_folder(folder: Path, batches: Iterable[tuple[Tensor, Tensor]], classes: Sequence[str]) -> int:
    """Write ``folder/CLASS/000123.png`` for each image, and a folder for each class even if it holds none.

    batches: images ``[B, C, H, W]`` uint8 and labels ``[B]``, indices into ``classes``; one batch is held at a time

    Returns how many were written. The folder appears whole or not at all, and replaces one that is there. See
    `scholars.storage.class_folders` for the folders' names.
    """
    names = class_folder_names(classes)
    with files.atomic_folder(folder) as fresh:
        for name in names:
            (fresh / name).mkdir()
        return write_images(batches, [fresh / name for name in names])


def write_images(
    batches: Iterable[tuple[Tensor, Tensor]], folders: Sequence[Path], first: int = 0, digits: int = 6
) -> int:
    """Write each image as a PNG in the folder of its label, numbered from ``first`` on; return how many.

    batches: as for `write_image_folder`
    folders: one for each label; created with its first image
    digits: of the numbers, with leading zeros
    """
    count = 0
    for image, label in (pair for images, labels in batches for pair in zip(images, labels.tolist(), strict=True)):
        folders[label].mkdir(parents=True, exist_ok=True)
        to_pil_image(image).save(folders[label] / f"{first + count:0{digits}d}.png")
        count += 1
    return count


def write_sheet(path: Path, images: Tensor, zoom: int = 2) -> None:
    """Write images ``[N, C, H, W]`` uint8 as one square sheet, a PNG, each ``zoom`` times its size."""
    picture = to_pil_image(tile_images(images, math.ceil(len(images) ** 0.5), 1))
    picture = picture.resize((picture.width * zoom, picture.height * zoom), Image.Resampling.NEAREST)
    with files.atomic_write(path) as temporary:
        picture.save(temporary, format="PNG")


# torchvision has the next two as well, but takes two seconds to import.
def tile_images(images: Tensor, columns: int, gap: int) -> Tensor:
    """Return images ``[N, C, H, W]`` uint8 as one image, in rows of ``columns``, white between and around them."""
    columns = min(columns, len(images))
    blank = images.new_full((-len(images) % columns, *images.shape[1:]), 255)
    tiles = functional.pad(torch.cat([images, blank]), (gap, 0, gap, 0), value=255)
    rows = tiles.view(-1, columns, *tiles.shape[1:]).permute(2, 0, 3, 1, 4)  # [C, row, height, column, width]
    return functional.pad(rows.flatten(3, 4).flatten(1, 2), (0, gap, 0, gap), value=255)


def to_pil_image(image: Tensor) -> Image.Image:
    """Return an image ``[C, H, W]`` uint8, C 1 or 3, as one of Pillow's."""
    pixels = image.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels[..., 0] if image.shape[0] == 1 else pixels)


def encode_png(image: Tensor) -> bytes:
    """Return an image ``[C, H, W]`` uint8, C 1 or 3, as the content of a PNG file."""
    content = io.BytesIO()
    to_pil_image(image).save(content, "PNG", optimize=True)
    return content.getvalue()


def data_uri(png: bytes) -> str:
    """Return the content of a PNG file as a data URI, for a page that holds its pictures in itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
