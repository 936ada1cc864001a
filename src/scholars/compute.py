"""Where numbers are computed: device, precision, and the randomness of every position."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric import Fabric
from torch import nn

from scholars.errors import InputError
from scholars.settings import ComputeSettings


@functools.cache
def open_fabric(settings: ComputeSettings) -> Fabric:
    """The device and precision that ``settings`` ask for. Raises InputError where the machine has no such device."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        fabric = Fabric(accelerator=settings.device, devices=1, precision="32-true")
        precision = settings.precision
        if precision == "auto":
            precision = "bf16-mixed" if _multiplies_bf16(fabric.device) else "32-true"
        return fabric if precision == "32-true" else Fabric(accelerator=settings.device, devices=1, precision=precision)
    except (ValueError, RuntimeError) as error:
        raise InputError(f"compute.device={settings.device!r} cannot be used on this machine: {error}") from None


def _multiplies_bf16(device: torch.device) -> bool:
    """Whether bf16 is fast, not merely emulated: emulation is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported") if device.type == "cpu" else ()
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


def seed_of(seed: int, stage: str, step: int) -> int:
    """A well-mixed seed for one position of one run."""
    digest = hashlib.blake2b(f"{seed}/{stage}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


@contextmanager
def randomness(fabric: Fabric) -> Iterator[None]:
    """Inside, torch's generators may be seeded per position; the caller's random state is as before afterwards."""
    device = fabric.device
    devices = [device.index or 0] if device.type not in ("cpu", "mps") else []
    with torch.random.fork_rng(devices, device_type=device.type if devices else "cuda"):
        yield


def place(module: nn.Module, fabric: Fabric) -> None:
    """Move ``module`` to the device, convolution weights in the layout that is fastest for them."""
    module.to(fabric.device)
    module.to(memory_format=torch.channels_last)


def to_float(images: torch.Tensor) -> torch.Tensor:
    """uint8 0..255 -> float in [-1, 1]: the one normalisation, the same for every task and every dream."""
    return images.to(torch.float32).div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Float in [-1, 1] -> uint8 0..255, rounded, clipped; the inverse of `to_float`."""
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
