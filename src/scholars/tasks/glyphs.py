"""Draw digits from the fonts that come with matplotlib, in chunks of images that have random streams of their own."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from scholars.tasks.images import Images

# Fonts that come with matplotlib. Left out: DejaVu Sans Mono (its zero carries a dot, which house numbers do not) and
# the mathematical fonts (no digits, double-struck or old-style ones).
_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)
# Pixels of the atlas by which strokes are thickened: painted and cast digits are bolder than print.
_STROKES = (0, 1, 2)
_CELL = 48  # pixels of an atlas cell: more than are shown, so that digits are scaled down and keep their detail
FILL = 0.75  # the part of a cell's height that a digit fills: bold ones, wider than high, must fit as well

# One random stream per chunk of this many images: a smaller task is a prefix of a larger one, and memory stays low.
CHUNK = 500


class ChunkRng:
    """Random numbers for a chunk of images, ``[B, 1, 1, 1]`` unless another shape is given."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float) -> Tensor:
        """Draw uniformly from low..high."""
        return torch.rand(CHUNK, 1, 1, 1, generator=self.generator) * (high - low) + low

    def normal(self, std: float, *shape: int) -> Tensor:
        """Draw from a normal distribution around 0 with this standard deviation, ``[B, *shape]``."""
        return torch.randn(CHUNK, *(shape or (1, 1, 1)), generator=self.generator) * std

    def bernoulli(self, probability: float) -> Tensor:
        """Draw 1.0 with this probability, else 0.0."""
        return (self.uniform(0, 1) < probability).float()


# Draws the images ``[B, C, H, W]`` uint8 of the digits ``[B]``.
Draw = Callable[[Tensor, ChunkRng], Tensor]


def draw_part(draw: Draw, shape: tuple[int, int, int], seed: int, part: int, count: int) -> Images:
    """Draw ``count`` images ``[C, H, W]`` of one part, labelled; the classes of every full chunk are balanced."""
    images = np.empty((count, *shape), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    for start in range(0, count, CHUNK):
        # SeedSequence hashes: neighbouring seeds, parts and chunks get unrelated streams.
        rng = ChunkRng(int(np.random.SeedSequence((seed, part, start)).generate_state(1)[0]))
        digits = torch.randperm(CHUNK, generator=rng.generator) % 10
        kept = min(CHUNK, count - start)
        images[start : start + kept] = draw(digits, rng)[:kept].numpy()
        labels[start : start + kept] = digits[:kept].numpy()
    return Images(images, labels)


@cache
def glyph_atlas() -> tuple[Tensor, Tensor]:
    """Return the glyphs as alpha masks in 0..1, ``[F, 10, CELL, CELL]``, and their widths in cells, ``[F, 10]``."""
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    masks = np.zeros((len(_FONTS) * len(_STROKES), 10, _CELL, _CELL), dtype=np.float32)
    widths = np.zeros(masks.shape[:2], dtype=np.float32)
    for i in range(len(masks)):
        path, stroke = folder / f"{_FONTS[i // len(_STROKES)]}.ttf", _STROKES[i % len(_STROKES)]
        # Fonts disagree about how much of their size a digit fills: measure at 100 and scale.
        _, top, _, bottom = ImageFont.truetype(path, 100).getbbox("8")
        font = ImageFont.truetype(path, 100 * (FILL * _CELL - 2 * stroke) / (bottom - top))
        for digit in range(10):
            left, top, right, bottom = font.getbbox(str(digit), stroke_width=stroke)
            image = Image.new("L", (_CELL, _CELL))
            place = ((_CELL - left - right) / 2, (_CELL - top - bottom) / 2)
            ImageDraw.Draw(image).text(place, str(digit), fill=255, font=font, stroke_width=stroke)
            masks[i, digit] = np.asarray(image, dtype=np.float32) / 255
            widths[i, digit] = (right - left) / _CELL
    return torch.from_numpy(masks), torch.from_numpy(widths)
