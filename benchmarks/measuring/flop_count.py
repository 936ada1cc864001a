"""Count what a step computes, time its convolutions and matrix products one by one, and measure its memory.

Counted are matrix products and convolutions, forward, backward, and differentiated twice, as they are carried out; a
multiplication and an addition are two operations. Not counted is everything else (norms, activations, pooling,
optimizer, moving averages): a few percent of the operations, though not of the time. What is computed in vain counts
too, so a change that leaves it out lowers this number, and only images a second show the gain.

The formulas are those of `torch.utils.flop_counter`. Its FlopCounterMode itself is not used: to tell modules apart it
hooks into their backward pass, and fails where a penalty differentiates by the images that a module was given.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Step = Callable[[], object]


@dataclass(frozen=True)
class TensorSpec:
    """Shape, stride and type of a tensor, without its values."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def random(self) -> Tensor:
        """Return such a tensor of random values."""
        reach = 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        return torch.randn(max(1, reach)).to(self.dtype).as_strided(self.shape, self.stride)


@dataclass(frozen=True)
class Operation:
    """A convolution or a matrix product: function, arguments with specs in the place of tensors, FLOP of one call."""

    function: Callable[..., object]
    arguments: tuple[object, ...]
    flops: int

    def seconds(self, min_seconds: float = 0.01) -> float:
        """Return the median time of a call by itself, of five or more that take ``min_seconds`` together."""
        arguments = [_fill(argument) for argument in self.arguments]
        self.function(*arguments)
        spent: list[float] = []
        while len(spent) < 5 or sum(spent) < min_seconds:
            began = time.perf_counter()
            self.function(*arguments)
            spent.append(time.perf_counter() - began)
        return median(spent)


def record_operations(step: Step) -> Counter[Operation]:
    """Run ``step`` and return the operations that are counted, and how often each occurs."""
    recorder = _Recorder()
    with recorder:
        step()
    return recorder.found


def count_flops(step: Step) -> int:
    """Run ``step`` and return the number of its floating-point operations."""
    return _total_flops(record_operations(step))


def isolated_speed(found: Mapping[Operation, int]) -> float:
    """Return FLOP a second of the convolutions and products, each timed apart from the rest of its step.

    A step cannot be faster than that without other shapes: what it falls short of this is spent between them.
    """
    return _total_flops(found) / sum(times * operation.seconds() for operation, times in found.items())


def peak_tensor_bytes(step: Step) -> int:
    """Run ``step`` and return the most bytes of tensors that it holds, beyond those that were there before."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler says at every start that there is no GPU
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    assert profiled.profiler is not None
    events = profiled.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held: list[int] = list(accumulate((change for _, change in changes), initial=0))
    return max(held)


def _total_flops(found: Mapping[Operation, int]) -> int:
    return sum(times * operation.flops for operation, times in found.items())


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[Operation] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None:
            # Without gradients a convolution comes as one of the many names that only stand for it.
            with self:
                made = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if made is NotImplemented else made
        out = func(*args, **kwargs)
        count = int(formula(*args, **kwargs, out_val=out))
        self.found[Operation(func, tuple(_spec(argument) for argument in args), count)] += 1
        return out


def _spec(argument: object) -> object:
    match argument:
        case Tensor():
            return TensorSpec(tuple(argument.shape), argument.stride(), argument.dtype)
        case list() | tuple():
            return tuple(_spec(part) for part in argument)
    return argument


def _fill(argument: object) -> object:
    match argument:
        case TensorSpec():
            return argument.random()
        case tuple():
            return [_fill(part) for part in argument]
    return argument
