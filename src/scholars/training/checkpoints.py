"""The state of an unfinished training on disk, bit for bit: modules, optimizers, and notes about the position."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scholars.errors import ScholarsError
from scholars.storage import files

Checkpoint = tuple[dict[str, Tensor], dict[str, str]]

# Before each name, so that a module and an optimizer may be called the same.
_MODULES, _OPTIMIZERS = "modules/", "optimizers/"


def save(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer], notes: Mapping[str, str]
) -> None:
    """Write the state of modules and optimizers, atomically."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{_MODULES}{name}/{key}": value for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{_OPTIMIZERS}{name}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    files.write_tensors(path, tensors, notes)


def read(path: Path, position: str) -> Checkpoint:
    """Read the saved tensors and notes.

    Raises InputError for a file that cannot be read, ScholarsError where the note ``position`` is another.
    """
    tensors, notes = files.read_tensors(path)
    if notes.get("position") != position:
        raise ScholarsError(f"{path} is a checkpoint of another training ({notes.get('position')}, not {position})")
    return tensors, notes


def restore(
    modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer], tensors: Mapping[str, Tensor]
) -> None:
    """Load the saved ``tensors`` into modules and optimizers."""
    for name, module in modules.items():
        module.load_state_dict({key: tensors[f"{_MODULES}{name}/{key}"] for key in module.state_dict()})
    for name, optimizer in optimizers.items():
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        states: dict[int, dict[str, Tensor]] = {}
        prefix = f"{_OPTIMIZERS}{name}/"
        for entry in (entry for entry in tensors if entry.startswith(prefix)):
            index, key = entry.removeprefix(prefix).split("/")
            value, like = tensors[entry], parameters[int(index)]
            # Fused optimizers walk parameter and state side by side in memory: both need the same layout.
            state = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            states.setdefault(int(index), {})[key] = state
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
