"""Resize images inside an exported graph as Pillow does outside of it: by two matrix products.

ONNX has an operator that resizes with antialiasing, but it sees nothing outside of the square that was cut out, where
Pillow's does, and not every runtime has it.
"""

import torch
from torch import Tensor, nn

from scholars.tasks.decoding import Interpolation

# Pillow's bicubic filter: OpenCV's and PyTorch's without antialiasing have -0.75 here.
CUBIC = -0.5


class CentreSquare(nn.Module):
    """uint8 images ``[B, 3, H, W]`` of any size -> the square around their centre, uint8 ``[B, 3, S, S]``.

    What `scholars.tasks.decoding.resize_square` makes of a picture: the filter is widened where the image shrinks, sees
    what is just outside of the square, and its results are rounded to 8 bits after the rows and after the columns. What
    is halfway between two levels may become the other one: of most pictures a few of 10,000 values. Of tall pictures a
    quarter differs, by one to three levels, for there Pillow 13 begins with the columns.
    """

    def __init__(self, size: int, interpolation: Interpolation) -> None:
        super().__init__()
        self.size, self.interpolation = size, interpolation

    def forward(self, images: Tensor) -> Tensor:
        """Return the squares."""
        height, width = images.shape[2:]
        # Tensors, for the exporter knows no minimum of two dynamic sizes.
        lengths = [torch.full((), length, dtype=torch.float32) for length in (height, width)]
        side = torch.minimum(*lengths)
        rows, columns = (
            self._weights(torch.arange(count), length, side)
            for count, length in zip((height, width), lengths, strict=True)
        )
        narrow = _eight_bits(images.float() @ columns.T)
        return _eight_bits(rows @ narrow).to(torch.uint8)

    def _weights(self, places: Tensor, length: Tensor, side: Tensor) -> Tensor:
        """Return how much of each pixel ``[N]`` of a row or column is in each of the S resized ones, ``[S, N]``."""
        step = side / self.size
        first = ((length - side) / 2).floor()
        # First whole numbers, which are exact, then fractions: there are many pixels in a photograph.
        pixels = (places - first + 0.5)[None, :]
        centres = ((torch.arange(self.size) + 0.5) * step)[:, None]
        weights = self._filter((pixels - centres).abs() / step.clamp(min=1))
        return weights / weights.sum(dim=1, keepdim=True)

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
