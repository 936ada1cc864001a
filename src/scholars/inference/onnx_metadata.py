"""Describe an exported file in its metadata, so that other programs can show it images as this package does."""

import json
from typing import Any

from scholars.scholar import Scholar
from scholars.tasks.squares import least_side


def metadata(scholar: Scholar) -> dict[str, str]:
    """Return the metadata of an exported scholar, each value as JSON; docs/format.md describes them.

    ``classes``, in the order of the outputs; ``tasks``; ``image``: how the pixels of an image file become what the
    graph takes; ``backbone``, where there is one: name, SHA-256 and licence
    """
    notes: dict[str, Any] = {
        "classes": scholar.classes,
        "tasks": [task.name for task in scholar.tasks],
        "image": _describe_image(scholar),
    }
    if scholar.backbone:
        record = scholar.backbone.record
        notes["backbone"] = {"name": record.name, "sha256": record.sha256, "licence": record.licence}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in notes.items()}


def _describe_image(scholar: Scholar) -> dict[str, Any]:
    """Return the steps from a file to the graph's input, in their order."""
    shape = scholar.settings.image
    interpolation = scholar.backbone.record.interpolation if scholar.backbone else "bilinear"
    about: dict[str, Any] = {
        "size": shape.size,
        "channels": shape.channels,
        # At this many pixels of its shorter side a JPEG may be decoded instead of at its own.
        "least_side": least_side(shape.size),
        "orientation": "upright, by EXIF",
        "transparency": "over white",
        "fit": shape.fit,
        "interpolation": interpolation,
        "antialias": True,
        "rounding": "to 8 bits after the rows and after the columns, halves up",
    }
    if shape.fit == "pad":
        about["padding"] = 0
    if shape.channels == 3:
        about |= {"colours": "RGB", "grey": "repeated to three channels"}
    else:
        about |= {
            "colours": "grey",
            # As torchvision has them.
            "grey_weights": [0.2989, 0.587, 0.114],
            "grey": "the sum of red, green and blue by grey_weights, after resizing, rounded down; green alone where "
            "they differ by 1 at most in the whole image",
        }
    return about | {
        "layout": "[B, H, W, C]",
        "type": "uint8",
        "range": [0, 255],
        "normalisation": "in the graph",
        "pillow": _pillow(shape.size, f"Image.Resampling.{interpolation.upper()}", shape.fit),
    }


def _pillow(size: int, method: str, fit: str) -> str:
    """Return the statements that make ``square`` of ``image``, of this width and height, by Pillow.

    Exactly, for cropping sees what is just outside of the square, which most other programs do not.
    """
    if fit == "crop":
        return (
            "side = min(width, height); left, top = (width - side) // 2, (height - side) // 2; "
            f"square = image.resize(({size}, {size}), {method}, box=(left, top, left + side, top + side))"
        )
    if fit == "stretch":
        return f"square = image.resize(({size}, {size}), {method})"
    return (
        f"longer = max(width, height); w, h = max(1, (2 * width * {size} + longer) // (2 * longer)), "
        f"max(1, (2 * height * {size} + longer) // (2 * longer)); square = Image.new(image.mode, ({size}, {size})); "
        f"square.paste(image.resize((w, h), {method}), (({size} - w) // 2, ({size} - h) // 2))"
    )
