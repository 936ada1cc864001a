"""The state of an unfinished training on disk, bit for bit, in less room than it takes in memory.

Weights and moments are float32, whose upper byte - the sign and seven bits of the exponent - hardly varies: deflated it
takes a third of its room, the other three bytes none less. A training that is done needs no moments.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars import store
from scholars.errors import InputError, ScholarsError

if TYPE_CHECKING:
    from scholars.fitting import Trainee

# What a deflated upper byte is called beside its three others. Numbers fewer than this are not worth a second entry.
_UPPER, _FEW = "~upper", 256


def save(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer], notes: Mapping[str, str]
) -> None:
    """Write the state of modules and optimizers, atomically."""
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{name}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    store.write_tensors(path, packed(tensors), notes)


Kept = tuple[dict[str, Tensor], dict[str, str]]


def read(path: Path, position: str) -> Kept:
    """The state that was saved, and the notes.

    Raises InputError for a file that cannot be read, ScholarsError where the note ``position`` is another.
    """
    tensors, notes = store.read_tensors(path)
    if notes.get("position") != position:
        raise ScholarsError(f"{path} is a checkpoint of another training ({notes.get('position')}, not {position})")
    return unpacked(tensors, path), notes


def restore(trainee: Trainee, kept: Kept) -> dict[str, str]:
    """Bring ``trainee`` to the state that was kept; returns the notes."""
    tensors, notes = kept
    for name, module in trainee.modules.items():
        module.load_state_dict({key: tensors[f"{name}/{key}"] for key in module.state_dict()})
    for name, optimizer in trainee.optimizers.items():
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        states: dict[int, dict[str, Tensor]] = {}
        for entry, value in tensors.items():
            if entry.startswith(f"{name}/"):
                _, index, key = entry.split("/")
                like = parameters[int(index)]
                # Fused optimizers walk parameter and state side by side in memory: both need the same layout.
                state = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
                states.setdefault(int(index), {})[key] = state
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return notes


def packed(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Float32 ``[...]`` as its three lower bytes, uint8 ``[..., 3]``, and the upper ones deflated; others as they are.

    "Upper" is what it is on a machine that stores the lowest byte first; on others this saves less.
    """
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if value.dtype != torch.float32 or value.numel() < _FEW:
            found[name] = value
            continue
        numbers = value.detach().cpu().contiguous().numpy()
        parts = numbers.view(np.uint8).reshape(*numbers.shape, 4)
        upper = zlib.compress(parts[..., 3].tobytes(), level=1)
        found[name] = torch.from_numpy(parts[..., :3].copy())
        found[name + _UPPER] = torch.frombuffer(bytearray(upper), dtype=torch.uint8)
    return found


def unpacked(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """What `packed` was given. Raises InputError, naming ``path``, where the parts do not belong together."""
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        deflated = tensors.get(name + _UPPER)
        if name.endswith(_UPPER):
            continue
        if deflated is None:
            found[name] = value
            continue
        shape = value.shape[:-1]
        count = shape.numel()
        parts = np.empty((*shape, 4), np.uint8)
        try:
            upper = zlib.decompressobj().decompress(deflated.numpy().tobytes(), count + 1)
            parts[..., 3] = np.frombuffer(upper, np.uint8).reshape(shape)
            parts[..., :3] = value.numpy()
        except (zlib.error, ValueError) as error:
            raise InputError(f"{path} is damaged at {name!r}: {error}") from None
        found[name] = torch.from_numpy(parts.view(np.float32).reshape(shape))
    return found
