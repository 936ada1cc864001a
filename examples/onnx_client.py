"""Classify pictures with an exported scholar, without Scholars: by ONNX Runtime, Pillow and numpy alone.

python examples/onnx_client.py animals.onnx photo.jpg ...

How a picture becomes what the model takes is in the model's metadata, and so are the names of the classes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image, ImageOps


def read_upright(path: str, least_side: int) -> Image.Image:
    """Return the picture in a file, upright by its EXIF, over white where it is transparent, of mode L or RGB."""
    file = Image.open(path)
    file.draft(None, (least_side, least_side))  # a large JPEG is decoded at a fraction of its size
    picture = ImageOps.exif_transpose(file)
    if picture.mode.startswith(("I", "F")):
        sys.exit(f"{path}: has more than 8 bits a channel; save it with 8")
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def read_square(path: str, about: dict[str, Any]) -> npt.NDArray[np.uint8]:
    """Return the picture in a file as uint8 ``[size, size, channels]``; ``about``: the model's metadata "image"."""
    picture, size = read_upright(path, about["least_side"]), about["size"]
    shorter, longer = sorted(picture.size)
    box, inner = (0, 0, picture.width, picture.height), [size, size]
    if about["fit"] == "crop":
        left, top = ((side - shorter) // 2 for side in picture.size)
        box = (left, top, left + shorter, top + shorter)
    elif about["fit"] == "pad":
        inner = [max(1, (2 * side * size + longer) // (2 * longer)) for side in picture.size]
    square = Image.new(picture.mode, (size, size))  # black
    method = Image.Resampling[about["interpolation"].upper()]
    square.paste(picture.resize(inner, method, box), ((size - inner[0]) // 2, (size - inner[1]) // 2))
    if about["channels"] == 3:
        return np.asarray(square.convert("RGB"))
    pixels = np.asarray(square)
    if pixels.ndim == 3:  # grey that was saved as colour, or colour
        is_grey = np.ptp(pixels, axis=2).max() <= 1
        pixels = pixels[..., 1] if is_grey else (pixels @ np.array(about["grey_weights"])).astype(np.uint8)
    return pixels[..., np.newaxis]


model = onnxruntime.InferenceSession(sys.argv[1])
notes = {key: json.loads(value) for key, value in model.get_modelmeta().custom_metadata_map.items()}
for path in sys.argv[2:]:
    (probabilities,) = model.run(["probabilities"], {"images": read_square(path, notes["image"])[np.newaxis]})[0]
    best = int(probabilities.argmax())
    print(f"{path}: {notes['classes'][best]} {100 * probabilities[best]:.1f} %")
