"""No network is made larger than the weights that it is to hold: what a file says of itself is only a claim."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from scholars import store
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
    store.load_weights(network, weights, where)
    return network


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
