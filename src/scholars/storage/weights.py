"""Load weights into networks, checked first: a description may claim anything."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from scholars.errors import InputError

M = TypeVar("M", bound=nn.Module)


def build_from_weights(build: Callable[[], M], weights: Mapping[str, Tensor], where: str) -> M:
    """Build a network and load ``weights`` into it.

    Raises InputError where they do not fit. The network is first built without memory, on the meta device: a
    description of a network far larger than its weights is refused before it takes any.
    """
    with torch.device("meta"):
        expected = build().state_dict()
    check_tensors(weights, {name: (value.dtype, *value.shape) for name, value in expected.items()}, where)
    network = build()
    load_weights(network, weights, where)
    return network


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load ``tensors`` into ``module``. Raises InputError where names or shapes differ, or a number is not finite."""
    check_tensors(tensors, {name: (value.dtype, *value.shape) for name, value in module.state_dict().items()}, where)
    for name, value in tensors.items():
        # Batch norm divides by its square root.
        negative = name.endswith("running_var") and bool((value < 0).any())
        if negative or not bool(torch.isfinite(value).all()):
            what = "a variance below 0" if negative else "not finite"
            raise InputError(f"{where}: the weight {name!r} is {what}; take an earlier copy of the scholar")
    module.load_state_dict(dict(tensors))


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[Any, ...]], where: str) -> None:
    """Raise InputError, naming the first difference, unless ``tensors`` have exactly these types and shapes.

    expected: ``(dtype, *shape)`` by name
    """
    found = {name: (value.dtype, *value.shape) for name, value in tensors.items()}
    differing = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
    if differing:
        name = differing[0]
        raise InputError(
            f"{where}: the tensors do not fit the description, first at {name!r}: expected "
            f"{_describe(expected.get(name))}, found {_describe(found.get(name))}"
        )


def _describe(spec: tuple[Any, ...] | None) -> str:
    return f"{str(spec[0]).removeprefix('torch.')} {list(spec[1:])}" if spec else "nothing"
