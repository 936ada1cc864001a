"""What the machine can do at best, measured beside everything else: by these everything else is measured.

The convolution is the best case: of ten sizes that were tried (64 to 256 channels, sides of 4 to 32) the one that is
fastest forward and backward together, 3 x 3, from 128 to 128 channels at 8 x 8, channels last.
`operations.alone` says how fast the networks' own are.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

# Seconds that a yardstick is held to something, at least.
LEAST = 0.15
TRAINING, INFERENCE, BYTES = "convolution, forward and backward", "convolution, forward", "inflate"


@dataclass(frozen=True)
class Yardstick:
    """Something to compute: ``work`` in ``unit`` seconds, such as GFLOP, at every call."""

    unit: str
    work: float
    call: Callable[[], object]

    def speed(self, least: float = LEAST) -> float:
        """How much of it is done in a second, now."""
        calls, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < least or not calls:
            self.call()
            calls += 1
        return self.work * calls / spent


def yardsticks(bf16: bool) -> dict[str, Yardstick]:
    """All of them, warm; the convolutions that steps are compared with are in the precision that they compute in."""
    own = torch.bfloat16 if bf16 else torch.float32
    found = {
        TRAINING: _convolution(own, backward=True),
        INFERENCE: _convolution(own, backward=False),
        "the same in fp32, forward and backward": _convolution(torch.float32, backward=True),
        "matrix product, bf16": _product(torch.bfloat16),
        "matrix product, fp32": _product(torch.float32),
        "copy": _copy(),
        BYTES: _inflate(),
    }
    for yardstick in found.values():
        yardstick.call()
    return found


def _convolution(
    dtype: torch.dtype, backward: bool, images: int = 128, channels: int = 128, side: int = 8
) -> Yardstick:
    def of(*shape: int) -> torch.Tensor:
        return torch.randn(*shape).to(dtype).contiguous(memory_format=torch.channels_last)

    x, weight, gradient = (
        of(images, channels, side, side),
        of(channels, channels, 3, 3),
        of(images, channels, side, side),
    )

    def call() -> None:
        F.conv2d(x, weight, padding=1)
        if backward:
            torch.ops.aten.convolution_backward(
                gradient, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False]
            )

    once = 2 * images * side**2 * channels**2 * 9
    return Yardstick("GFLOP/s", once * (3 if backward else 1) / 1e9, call)


def _product(dtype: torch.dtype, side: int = 2048) -> Yardstick:
    one, other = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    return Yardstick("GFLOP/s", 2 * side**3 / 1e9, lambda: one @ other)


def _copy(count: int = 16 << 20) -> Yardstick:
    one, other = torch.zeros(count), torch.zeros(count)
    # Read once, written once.
    return Yardstick("GB/s", 2 * one.nbytes / 1e9, lambda: other.copy_(one))


def _inflate(count: int = 4 << 20) -> Yardstick:
    pixels = (torch.arange(count) // 7 % 251).to(torch.uint8).numpy().tobytes()
    deflated = zlib.compress(pixels)
    return Yardstick("MB/s", count / 1e6, lambda: zlib.decompress(deflated))
