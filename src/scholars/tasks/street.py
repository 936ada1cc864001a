"""Draw digits as on photographs of house numbers: colour images to learn from without a network."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from scholars.tasks.glyphs import CHUNK, FILL, ChunkRng, draw_part, glyph_atlas
from scholars.tasks.task import Task

SIZE = 32
"""The side of the images, as in SVHN."""


def draw_street(train: int = 20_000, test: int = 4_000, seed: int = 0) -> Task:
    """Return the task ``street``: RGB 32x32 images of digits as on house numbers, classes "0" to "9".

    train, test: how many images; a smaller number gives the first ones of a larger
    seed: the same seed always draws the same images

    A stand-in for SVHN: the digit in the middle is the label; neighbours, lighting, blur and noise are to be ignored.
    """
    shape = (3, SIZE, SIZE)
    learned, tested = (draw_part(_draw_chunk, shape, seed, part, count) for part, count in enumerate((train, test)))
    return Task("street", tuple("0123456789"), learned, tested)


def _colour(rng: ChunkRng, luminance: Tensor) -> Tensor:
    """Draw colours of this luminance, ``[B, 3, 1, 1]``: nearly grey for most, as in SVHN, vivid for a few.

    Daylight, skies, brick and wood lie between blue and orange: green and purple are rare.
    """
    orange = rng.normal(0.045) * torch.tensor([1.0, 0.0, -1.0])[:, None, None]
    chroma = (orange + rng.normal(0.012, 3, 1, 1)) * (1 + 3 * rng.bernoulli(0.12))
    return luminance + chroma - chroma.mean(1, keepdim=True)


@cache
def _camera_matrices() -> Tensor:
    """Return what lenses and small sensors do to one axis of an image, as matrices ``[K, SIZE, SIZE]``.

    Blur and resizing of an image are ``rows @ image @ columns.T``: one batched product, whatever each one's strength.
    """
    place = torch.arange(SIZE) + 0.5

    def normalise(weights: Tensor) -> Tensor:
        return weights / weights.sum(1, keepdim=True)

    def gauss(sigma: float) -> Tensor:
        return normalise(torch.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2))

    # Cameras sharpen what they take: the light and dark seams around SVHN's digits.
    sharpen = 1.6 * torch.eye(SIZE) - 0.6 * gauss(2.0)
    matrices = []
    for pixels in (SIZE, 20, 12):  # across the sensor: SVHN's crops were enlarged from as few
        pitch = SIZE / pixels
        overlap = (1 - (place[:, None] - (torch.arange(pixels) + 0.5) * pitch).abs() / pitch).clamp(min=0)
        enlarge, reduce = normalise(overlap), normalise(overlap.T)
        matrices += [sharpen @ enlarge @ reduce @ gauss(sigma) for sigma in (0.4, 0.9, 1.4, 2.2)]
    return torch.stack(matrices)


def _draw_chunk(digits: Tensor, rng: ChunkRng) -> Tensor:
    """Draw images of the digits ``[B]``, ``[B, 3, SIZE, SIZE]`` uint8."""
    across = (torch.arange(SIZE) + 0.5) * (2 / SIZE) - 1
    y, x = torch.meshgrid(across, across, indexing="ij")
    u, v = _project_to_wall(x, y, rng)
    ink, rim = _render_digits(digits, u, v, rng)
    wall = _render_wall(x, y, u, v, rng)
    return _photograph(_paint_digits(ink, rim, wall, rng), x, y, rng)


def _project_to_wall(x: Tensor, y: Tensor, rng: ChunkRng) -> tuple[Tensor, Tensor]:
    """Return where pixels lie on a wall seen from aside, in half cells from the digit's centre; ``[B, 1, H, W]``."""
    turn, shear = rng.normal(0.11), rng.normal(0.15)
    tall = FILL / rng.uniform(0.52, 1.0)  # the digit's part of the image's height
    wide = tall * rng.uniform(0.9, 1.65)  # more than 1 squeezes: house numbers are narrower than print
    depth = 1 + rng.normal(0.07) * x + rng.normal(0.05) * y
    u = wide * (torch.cos(turn) * x - torch.sin(turn) * y + shear * y + rng.normal(0.11)) / depth
    v = tall * (torch.sin(turn) * x + torch.cos(turn) * y + rng.normal(0.08)) / depth
    return u, v


def _render_digits(digits: Tensor, u: Tensor, v: Tensor, rng: ChunkRng) -> tuple[Tensor, Tensor]:
    """Return how much of each pixel the digits cover, and their outline or shadow if any; ``[B, 1, H, W]`` each."""
    masks, widths = glyph_atlas()
    font = torch.randint(len(masks), (CHUNK,), generator=rng.generator)
    neighbours = torch.randint(10, (2, CHUNK), generator=rng.generator)
    gap = rng.uniform(0.0, 0.3)
    glyphs = [(masks[font, digits], torch.zeros(1), torch.ones(1))]
    for side, digit in zip((-1, 1), neighbours, strict=True):
        offset = side * ((widths[font, digits] + widths[font, digit])[:, None, None, None] + gap)
        # 0.4 on each side: 64 % of the images have a neighbour, if only its edge.
        glyphs.append((masks[font, digit], offset, rng.bernoulli(0.4)))

    def coverage(right: Tensor, down: Tensor) -> Tensor:
        total = torch.zeros_like(u)
        for mask, offset, shown in glyphs:
            grid = torch.stack([u - right - offset, v - down], dim=-1)[:, 0]
            total += shown * functional.grid_sample(mask[:, None], grid, align_corners=False)
        return total.clamp(max=1)

    ink = coverage(torch.zeros(1), torch.zeros(1))
    outlined = rng.bernoulli(0.15)
    shadowed = rng.bernoulli(0.3) * (1 - outlined)
    shadow = coverage(rng.normal(0.08), rng.uniform(0.03, 0.14))
    return ink, outlined * functional.max_pool2d(ink, 3, stride=1, padding=1) + shadowed * shadow


def _render_wall(x: Tensor, y: Tensor, u: Tensor, v: Tensor, rng: ChunkRng) -> Tensor:
    """Return a plate or a wall with texture and clutter; ``[B, 3, H, W]`` around 0..1."""
    plate = _colour(rng, (0.46 + rng.normal(0.21)).clamp(0.06, 0.92))
    around = _colour(rng, rng.uniform(0.05, 0.9))
    # A plate's edges show near the image's border: how far inside of all four a pixel lies, in half cells.
    edges = (rng.uniform(0.7, 1.6) - u, u + rng.uniform(0.7, 1.6), rng.uniform(0.78, 1.5) - v)
    inside = torch.stack([*edges, v + rng.uniform(0.78, 1.5)]).amin(0)
    outside = rng.bernoulli(0.35) * (0.5 - inside / 0.05).clamp(0, 1)
    frame = rng.bernoulli(0.2) * (1 - (inside - 0.06).abs() / 0.06).clamp(0, 1)
    # Bars such as door frames, joints and cables: mostly beside the digit, at any angle.
    angle = rng.uniform(0, 2 * torch.pi)
    off = torch.cos(angle) * x + torch.sin(angle) * y - rng.uniform(0.45, 1.2)
    bar = rng.bernoulli(0.25) * (1 - (off.abs() - rng.uniform(0.02, 0.2)).clamp(min=0) / 0.06).clamp(0, 1)
    wall = plate + outside * (around - plate)
    wall = wall + torch.maximum(frame, bar) * (_colour(rng, rng.uniform(0.05, 0.9)) - wall)
    # Stains and reflections: mostly grey, with a little colour.
    stains = rng.normal(0.06, 1, 5, 5) + rng.normal(0.01, 3, 5, 5)
    return wall + rng.uniform(0, 1) * functional.interpolate(stains, size=SIZE, mode="bicubic")


def _paint_digits(ink: Tensor, rim: Tensor, wall: Tensor, rng: ChunkRng) -> Tensor:
    """Return the wall with the digits, lighter or darker than what they cover, at times hardly; ``[B, 3, H, W]``."""
    behind = (wall * ink).sum((1, 2, 3), keepdim=True) / (3 * ink.sum((1, 2, 3), keepdim=True))
    contrast = 0.12 + 0.55 * rng.uniform(0, 1) ** 1.4
    # Half of them darker, half lighter, except where black or white leaves no room for that.
    sign = 2 * rng.bernoulli(0.5) - 1
    sign = torch.where((behind + sign * contrast - 0.5).abs() > 0.55, -sign, sign)
    colour = _colour(rng, behind + sign * contrast)
    # An outline or a shadow sets the number off: on the other side of the wall's luminance than the number.
    scene = wall + rim * (_colour(rng, behind - sign * rng.uniform(0.05, 0.4)) - wall)
    return scene + ink * (colour - scene)


def _photograph(scene: Tensor, x: Tensor, y: Tensor, rng: ChunkRng) -> Tensor:
    """Apply light, lens, sensor and exposure: ``[B, 3, H, W]`` around 0..1 -> uint8."""
    light = 1 + rng.normal(0.13) * x + rng.normal(0.13) * y
    camera = _camera_matrices()[torch.randint(len(_camera_matrices()), (CHUNK, 1), generator=rng.generator)]
    image = camera @ (scene.clamp(0, 1) * light) @ camera.mT
    # Noise of the sensor's grain, and of compression, which is coarse.
    image += rng.uniform(0, 0.02) * rng.normal(1, 3, SIZE, SIZE)
    image += rng.uniform(0, 0.02) * functional.interpolate(rng.normal(1, 3, 8, 8), scale_factor=4.0)
    middle = image.mean((1, 2, 3), keepdim=True)
    image = middle + (image - middle) * rng.uniform(0.55, 1.1) + rng.normal(0.05)
    return (image * 255).round().clamp(0, 255).to(torch.uint8)
