"""Draw printed digits, dark on light paper: grey images to learn from without a network."""

import torch
from torch import Tensor
from torch.nn import functional

from scholars.tasks.glyphs import CHUNK, FILL, ChunkRng, draw_part, glyph_atlas
from scholars.tasks.task import Task

SIZE = 28
"""The side of the images, as in MNIST."""


def draw_printed(train: int = 10_000, test: int = 2_000, seed: int = 0) -> Task:
    """Return the task ``printed``: grey 28x28 images of printed digits, classes "0" to "9".

    train, test: how many images; a smaller number gives the first ones of a larger
    seed: the same seed always draws the same images

    The same classes as handwritten digits in another domain: a second task that is quickly learned.
    """
    shape = (1, SIZE, SIZE)
    learned, tested = (draw_part(_draw_chunk, shape, seed, part, count) for part, count in enumerate((train, test)))
    return Task("printed", tuple("0123456789"), learned, tested)


def _draw_chunk(digits: Tensor, rng: ChunkRng) -> Tensor:
    """Draw images of the digits ``[B]``, ``[B, 1, SIZE, SIZE]`` uint8."""
    masks, _ = glyph_atlas()
    font = torch.randint(len(masks), (CHUNK,), generator=rng.generator)
    turn, tall = rng.normal(0.07), FILL / rng.uniform(0.6, 0.9)  # the digit's part of the image's height
    across = (torch.arange(SIZE) + 0.5) * (2 / SIZE) - 1
    y, x = torch.meshgrid(across, across, indexing="ij")
    u = tall * (torch.cos(turn) * x - torch.sin(turn) * y + rng.normal(0.06))
    v = tall * (torch.sin(turn) * x + torch.cos(turn) * y + rng.normal(0.06))
    grid = torch.stack([u, v], dim=-1)[:, 0]
    ink = functional.grid_sample(masks[font, digits][:, None], grid, align_corners=False)
    paper, pale = rng.uniform(0.75, 1.0), rng.uniform(0.0, 0.35)
    image = paper + ink * (pale * paper - paper) + rng.normal(0.02, 1, SIZE, SIZE)
    return (image * 255).round().clamp(0, 255).to(torch.uint8)
