"""Choose the device and the precision; derive the seed of every training step."""

import ctypes
import functools
import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import torch
from torch import nn

from scholars.errors import InputError
from scholars.settings import ComputeSettings

if TYPE_CHECKING:
    import lightning_fabric

    Fabric: TypeAlias = lightning_fabric.Fabric
else:
    # Importing it takes a second: only what trains does, in `open_fabric` and `processes`.
    Fabric = Any

# Device types that have the same name in lightning-fabric and torch.
_DEVICES = ("cpu", "cuda", "mps")
# <malloc.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


class Device(NamedTuple):
    """A device, and whether networks compute in bf16 where that is safe (autocast), else in fp32."""

    device: torch.device
    bf16: bool

    @property
    def precision(self) -> Literal["bf16-mixed", "32-true"]:
        """The precision as lightning-fabric names it."""
        return "bf16-mixed" if self.bf16 else "32-true"

    def autocast(self) -> torch.autocast:
        """Return a context in which modules compute in this precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)


@functools.cache
def device_for(settings: ComputeSettings) -> Device:
    """Return the device and precision of ``settings``. Raises InputError where the machine has no such device."""
    try:
        device = _best_device() if settings.device == "auto" else torch.device(settings.device)
        if device.type not in _DEVICES:
            raise RuntimeError(f"known are {', '.join(_DEVICES)}")
        torch.empty(1, device=device)
    except (AssertionError, RuntimeError) as error:  # torch asserts that it was built for the device
        reason = str(error).partition("\n")[0]
        raise InputError(f"compute.device={settings.device!r} cannot be used on this machine: {reason}") from None
    bf16 = _multiplies_bf16(device) if settings.precision == "auto" else settings.precision == "bf16-mixed"
    return Device(device, bf16)


@functools.cache
def open_fabric(settings: ComputeSettings) -> Fabric:
    """Return lightning-fabric for training on `device_for` the settings, in this process alone."""
    import lightning_fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    keep_freed_memory()
    here = device_for(settings)
    # Lightning counts CPUs, and numbers all else.
    numbered = here.device.type != "cpu" and here.device.index is not None
    devices = [here.device.index] if numbered else 1
    return lightning_fabric.Fabric(accelerator=here.device.type, devices=devices, precision=here.precision)


def keep_freed_memory() -> None:
    """Let the C library keep the memory that a training step frees for the next one (glibc only).

    By default it returns large blocks to the system, which hands them out again page by page, zeroed: thousands of page
    faults a step, and up to a tenth of its time on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, 2**30)
        mallopt(M_TRIM_THRESHOLD, -1)


def release_freed_memory() -> None:
    """Return freed memory to the system (glibc only), so that the resident memory is what is in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _best_device() -> torch.device:
    if torch.accelerator.is_available():
        found = torch.accelerator.current_accelerator()
        if found is not None and found.type in _DEVICES:
            return found
    return torch.device("cpu")


def _multiplies_bf16(device: torch.device) -> bool:
    """Return whether the device multiplies bf16 in hardware: emulation is slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported") if device.type == "cpu" else ()
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)


def derive_seed(seed: int, stage: str, step: int) -> int:
    """Return the seed of one step of one stage: 63 bits of a hash of the arguments."""
    digest = hashlib.blake2b(f"{seed}/{stage}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


@contextmanager
def fork_rng(device: torch.device) -> Iterator[None]:
    """Restore torch's random state, of the CPU and of ``device``, at the end of the block."""
    index: list[int] = []
    if device.type not in ("cpu", "mps"):
        here = torch.get_device_module(device).current_device() if device.index is None else device.index
        index = [here]
    # torch.random.fork_rng does not support MPS.
    before = torch.mps.get_rng_state() if device.type == "mps" else None
    try:
        with torch.random.fork_rng(index, device_type=device.type if index else "cuda"):
            yield
    finally:
        if before is not None:
            torch.mps.set_rng_state(before)


def to_device(module: nn.Module, device: torch.device) -> None:
    """Move ``module`` to the device, with convolution weights channels-last, the fastest layout."""
    module.to(device)
    module.to(memory_format=torch.channels_last)


def to_float(inputs: torch.Tensor) -> torch.Tensor:
    """Scale images, uint8 0..255, to float32 in [-1, 1], and return floats, such as features, as float32.

    It is the one normalisation, the same for every task and every dream.
    """
    floats = inputs.to(torch.float32)
    if not inputs.is_floating_point():
        floats.div_(127.5).sub_(1)
    return floats.contiguous(memory_format=torch.channels_last) if floats.ndim == 4 else floats


def to_uint8(images: torch.Tensor) -> torch.Tensor:
    """Scale float in [-1, 1] to uint8 0..255, rounded and clipped: the inverse of `to_float`."""
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)
