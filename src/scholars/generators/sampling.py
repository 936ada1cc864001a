"""Draw images from a trained generator, in a scholar's own shape."""

import torch
from torch import Tensor

from scholars.compute.device import device_for, to_uint8
from scholars.errors import InputError
from scholars.generators.base import Generator
from scholars.settings import Settings
from scholars.tasks.resize import resize_images

# How many dreams are looked at, at most, for each one of the class that was asked for.
MAX_DREAMS_PER_FOUND = 250


def sample_images(generator: Generator, conditions: Tensor, settings: Settings) -> Tensor:
    """Draw one image per condition ``[B]``, under torch's global generator: ``[B, C, H, W]`` uint8."""
    device, shape = device_for(settings.compute), settings.image
    generator.eval()
    with torch.inference_mode(), device.autocast():
        drawn = to_uint8(generator.sample(conditions.to(device.device))).cpu().contiguous()
    return torch.from_numpy(resize_images(drawn.numpy(), shape.channels, shape.size))


def sample_features(generator: Generator, conditions: Tensor, settings: Settings) -> Tensor:
    """Draw one feature vector per condition ``[B]``, under torch's global generator: ``[B, D]`` float32."""
    generator.eval()
    with torch.inference_mode():
        return generator.sample(conditions.to(device_for(settings.compute).device)).float().cpu()


def check_class_found(name: str | None, found: int, looked_at: int) -> None:
    """Raise InputError for a class that hardly any of the dreams looked at are of; None: all are wanted."""
    if name is not None and (found + 1) * MAX_DREAMS_PER_FOUND < looked_at:
        raise InputError(f"it hardly ever dreams of {name!r}: {found:,} of {looked_at:,} times; see `scholars inspect`")
