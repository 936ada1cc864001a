"""The scholar that answers just now, and the generations that are kept beside it."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from scholars.errors import InputError
from scholars.generations import kept_generations
from scholars.inspecting import described
from scholars.lifetime import return_to
from scholars.prediction import Named, named
from scholars.scholar import Scholar
from scholars.tasks.pictures import squares
from scholars.tasks.shapes import in_channels


class Present:
    """One scholar's folder, as it answers: the loaded scholar changes whole, or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scholar = Scholar.load(folder)
        # Dreams are drawn under torch's global generator, and so are the first weights of a network that is loaded:
        # one at a time, equal seeds give equal dreams.
        self._random = threading.Lock()

    def reload(self) -> None:
        """Answer from what is in the folder now. Questions that are being answered are not disturbed."""
        with self._random:
            self.scholar = Scholar.load(self.folder)

    def go_back(self, key: str) -> None:
        """Answer by an earlier generation from now on; the present one is kept. See `return_to`."""
        with self._random:
            self.scholar = return_to(self.folder, key)

    def described(self) -> dict[str, Any]:
        """What `scholars inspect --json` says, the scholar's name, and the generations one can go back to."""
        return {
            "name": self.folder.resolve().name,
            **described(self.scholar, self.folder),
            "kept": [asdict(kept) for kept in kept_generations(self.folder)],
        }

    def named(self, contents: Sequence[bytes]) -> list[tuple[Named, int] | Exception]:
        """What each image file is taken for, and by which generation; an InputError for what is no image."""
        scholar = self.scholar
        shape = scholar.settings.image
        results = squares(lambda place: contents[int(place)], [str(i) for i in range(len(contents))], shape.size)
        pixels = [in_channels(one, shape.channels) for one in results if not isinstance(one, str)]
        found = iter(named(scholar, torch.from_numpy(np.stack(pixels))) if pixels else ())
        return [
            InputError(f"the image {one}") if isinstance(one, str) else (next(found), scholar.generation)
            for one in results
        ]

    def dreams(self, count: int, seed: int, of: str | None) -> list[dict[str, Any]]:
        """``count`` dreams as PNGs in data URIs, each with what the scholar sees in it. Raises InputError."""
        scholar = self.scholar
        with self._random:
            images, targets = scholar.dream(count, seed=seed, of=of)
        best = targets.max(1)
        return [
            {"image": _png(image), "class": scholar.classes[place], "probability": round(value, 4)}
            for image, value, place in zip(images, best.values.tolist(), best.indices.tolist(), strict=True)
        ]


def _png(image: torch.Tensor) -> str:
    pixels = image.permute(1, 2, 0).numpy()
    content = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(content, "PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
