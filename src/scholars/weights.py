"""Weights on their way into a network: what a file says of itself is only a claim.

They are checked, and no network is made larger than those that it is to hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from scholars.errors import InputError

M = TypeVar("M", bound=nn.Module)

# What layers are made of, before they are initialised.
_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}
# Numbers that a network may need beside its weights: tables that are not kept.
_SPARE = 2**20


def filled(build: Callable[[], M], weights: Mapping[str, Tensor], where: str) -> M:
    """The network that ``build`` makes, with these weights.

    Raises InputError where they do not fit it; before it takes memory, where it is much larger than they are.
    """
    with _Allowance(2 * sum(value.numel() for value in weights.values()) + _SPARE, where):
        network = build()
    load_weights(network, weights, where)
    return network


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load ``tensors`` into ``module``. Raises InputError where names or shapes do not match, or a number is none."""
    _check_fit(module, tensors, where)
    for name, value in tensors.items():
        # What is normalised by a variance below zero is no number.
        below = name.endswith("running_var") and bool((value < 0).any())
        if below or not bool(torch.isfinite(value).all()):
            what = "a variance below 0" if below else "not finite"
            raise InputError(f"{where}: the weight {name!r} is {what}; take an earlier copy of the scholar")
    module.load_state_dict(dict(tensors))


def _check_fit(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    expected = {name: _form(value) for name, value in module.state_dict().items()}
    found = {name: _form(value) for name, value in tensors.items()}
    if expected != found:
        differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        name = differing[0]
        raise InputError(
            f"{where}: the weights do not fit the description, first at {name!r}: "
            f"described {expected.get(name, 'nothing')}, found {found.get(name, 'nothing')}"
        )


def _form(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"


class _Allowance(TorchFunctionMode):
    """At most ``numbers`` may be asked for in the block; InputError otherwise."""

    def __init__(self, numbers: int, where: str) -> None:
        super().__init__()
        self.left, self.where = numbers, where

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if function in _MAKERS:
            size = given.get("size", args[0] if args and not isinstance(args[0], int) else args)
            self.left -= math.prod(size)
            if self.left < 0:
                raise InputError(f"{self.where}: the description is of a network far larger than its weights")
        return function(*args, **given)
