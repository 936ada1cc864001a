"""Resize images inside an exported graph as Pillow does outside of it: by two matrix products.

ONNX has an operator that resizes with antialiasing, but it sees nothing outside of the square that was cut out, where
Pillow's does, and not every runtime has it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from scholars.settings import Fit
from scholars.tasks.squares import Interpolation

# Pillow's bicubic filter: OpenCV's and PyTorch's without antialiasing have -0.75 here.
CUBIC = -0.5


class _Axis(NamedTuple):
    """The N pixels of a row or column, and the S that they become; whole numbers but for the step, in tensors ``[]``.

    first: the pixel where what is shown begins
    start, taken: the place among the S where it begins, and how many it takes; the others are black
    step: how many pixels become one
    """

    first: Tensor
    start: Tensor
    taken: Tensor
    step: Tensor


class FitSquare(nn.Module):
    """uint8 images ``[B, 3, H, W]`` of any size -> squares, uint8 ``[B, 3, S, S]``.

    What `scholars.tasks.squares.fit_square` makes of a picture: the filter is widened where the image shrinks, sees
    what is just outside of the square, and its results are rounded to 8 bits after the rows and after the columns. What
    is halfway between two levels may become the other one: of most pictures a few of 10,000 values. Of tall pictures a
    quarter differs, by one to three levels, for there Pillow 13 begins with the columns.
    """

    def __init__(self, size: int, interpolation: Interpolation, fit: Fit) -> None:
        super().__init__()
        self.size, self.interpolation, self.fit = size, interpolation, fit

    def forward(self, images: Tensor) -> Tensor:
        """Return the squares."""
        lengths = images.shape[2:]
        # Tensors, for the exporter knows no minimum of two dynamic sizes.
        sides = [torch.full((), length, dtype=torch.int64) for length in lengths]
        rows, columns = (
            self._weights(torch.arange(length), self._axis(side, *sides))
            for length, side in zip(lengths, sides, strict=True)
        )
        narrow = _eight_bits(images.float() @ columns.T)
        return _eight_bits(rows @ narrow).to(torch.uint8)

    def _axis(self, length: Tensor, height: Tensor, width: Tensor) -> _Axis:
        """Return how the pixels of a side of this length are resized, in an image of this height and width."""
        none, size = torch.zeros_like(length), torch.full_like(length, self.size)
        if self.fit == "crop":
            side = torch.minimum(height, width)
            return _Axis((length - side) // 2, none, size, side.float() / self.size)
        taken = size
        if self.fit == "pad":
            longer = torch.maximum(height, width)
            # Rounded, halves up.
            taken = ((2 * length * self.size + longer) // (2 * longer)).clamp(min=1)
        return _Axis(none, (size - taken) // 2, taken, length.float() / taken.float())

    def _weights(self, places: Tensor, axis: _Axis) -> Tensor:
        """Return how much of each pixel ``[N]`` of a row or column is in each of the S resized ones, ``[S, N]``."""
        place = torch.arange(self.size) - axis.start
        black = (place < 0) | (place >= axis.taken)
        # First whole numbers, which are exact, then fractions: there are many pixels in a photograph.
        pixels = ((places - axis.first).float() + 0.5)[None, :]
        centres = ((place + 0.5) * axis.step)[:, None]
        weights = self._filter((pixels - centres).abs() / axis.step.clamp(min=1))
        return torch.where(black[:, None], 0.0, weights / weights.sum(dim=1, keepdim=True))

    def _filter(self, distance: Tensor) -> Tensor:
        if self.interpolation == "bilinear":
            return (1 - distance).clamp(min=0)
        # Keys 1981, equation 4; its argument is kept small, for far pixels have none of it.
        x = distance.clamp(max=2)
        near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
        far = CUBIC * (((x - 5) * x + 8) * x - 4)
        return torch.where(x < 1, near, far)


def _eight_bits(values: Tensor) -> Tensor:
    """Round to whole numbers of 0 to 255, halves up; still float."""
    return (values + 0.5).floor().clamp(0, 255)
