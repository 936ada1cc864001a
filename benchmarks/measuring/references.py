"""Reference workloads: what the machine can do at best, timed beside everything that speed.py and scaling.py measure.

The convolution is the best case: of ten sizes that were tried (64 to 256 channels, sides of 4 to 32) the one that is
fastest forward and backward together, 3 x 3, from 128 to 128 channels at 8 x 8, channels last. How fast the networks'
own convolutions are by themselves says `flop_count.isolated_speed`.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

# Least seconds that a reference is timed for.
MIN_SECONDS = 0.15
TRAINING, INFERENCE, BYTES = "convolution, forward and backward", "convolution, forward", "inflate"


@dataclass(frozen=True)
class Reference:
    """A workload: every call does ``work`` (such as 3.6 GFLOP), its speed is in ``unit`` (such as GFLOP/s)."""

    unit: str
    work: float
    call: Callable[[], object]

    def speed(self, min_seconds: float = MIN_SECONDS) -> float:
        """Return the work done per second, now."""
        calls, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < min_seconds or not calls:
            self.call()
            calls += 1
        return self.work * calls / spent


def build_references(bf16: bool) -> dict[str, Reference]:
    """Build all references and warm them up; steps are compared with convolutions of the precision they compute in."""
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
    for reference in found.values():
        reference.call()
    return found


def _convolution(
    dtype: torch.dtype, backward: bool, images: int = 128, channels: int = 128, side: int = 8
) -> Reference:
    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape).to(dtype).contiguous(memory_format=torch.channels_last)

    x, gradient = (random(images, channels, side, side) for _ in range(2))
    weight = random(channels, channels, 3, 3)

    def call() -> None:
        F.conv2d(x, weight, padding=1)
        if backward:
            torch.ops.aten.convolution_backward(
                gradient, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False]
            )

    forward = 2 * images * side**2 * channels**2 * 9
    return Reference("GFLOP/s", forward * (3 if backward else 1) / 1e9, call)


def _product(dtype: torch.dtype, side: int = 2048) -> Reference:
    a, b = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    return Reference("GFLOP/s", 2 * side**3 / 1e9, lambda: a @ b)


def _copy(count: int = 16 << 20) -> Reference:
    source, target = torch.zeros(count), torch.zeros(count)
    # Read once, written once.
    return Reference("GB/s", 2 * source.nbytes / 1e9, lambda: target.copy_(source))


def _inflate(count: int = 4 << 20) -> Reference:
    pixels = (torch.arange(count) // 7 % 251).to(torch.uint8).numpy().tobytes()
    deflated = zlib.compress(pixels)
    return Reference("MB/s", count / 1e6, lambda: zlib.decompress(deflated))
