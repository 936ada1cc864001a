"""What a step computes: its operations counted, and its convolutions and matrix products one by one.

Counted are matrix products and convolutions, forward, backward, and differentiated twice, as they are carried out; a
multiplication and an addition are two operations. Not counted is everything else - norms, activations, pooling,
optimizer, moving averages -, which is a few percent of the operations, though not of the time. What is computed in vain
counts too: so a change that leaves it out lowers this number, and only images a second show the gain.

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


def flops(step: Step) -> int:
    """The floating-point operations of one ``step``."""
    return sum(times * operation.flops for operation, times in operations(step).items())


@dataclass(frozen=True)
class Form:
    """A tensor without its numbers."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def filled(self) -> Tensor:
        """Such a tensor of random numbers."""
        reach = 1 + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        return torch.randn(max(1, reach)).to(self.dtype).as_strided(self.shape, self.stride)


@dataclass(frozen=True)
class Operation:
    """A convolution or a matrix product: function and arguments, tensors as their forms, and what one call computes."""

    function: Callable[..., object]
    arguments: tuple[object, ...]
    flops: int

    def seconds(self, least: float = 0.01) -> float:
        """The median time of a call by itself, of as many as take ``least`` seconds, five or more."""
        arguments = [_filled(argument) for argument in self.arguments]
        self.function(*arguments)
        spent: list[float] = []
        while len(spent) < 5 or sum(spent) < least:
            began = time.perf_counter()
            self.function(*arguments)
            spent.append(time.perf_counter() - began)
        return median(spent)


def operations(step: Step) -> Counter[Operation]:
    """The operations that are counted in ``step``, and how often each occurs."""
    recorder = _Recorder()
    with recorder:
        step()
    return recorder.found


def peak(step: Step) -> int:
    """Bytes of tensors that ``step`` holds at most, beyond those that were there before."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler says at every start that there is no GPU
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        step()
    assert profiled.profiler is not None
    events = profiled.profiler.kineto_results.events()
    changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    held: list[int] = list(accumulate((change for _, change in changes), initial=0))
    return max(held)


def alone(found: Mapping[Operation, int]) -> float:
    """Operations a second of the convolutions and products by themselves, each timed apart from the rest of its step.

    A step cannot be faster than that without other shapes: what it falls short of this is spent between them.
    """
    seconds = sum(times * operation.seconds() for operation, times in found.items())
    return sum(times * operation.flops for operation, times in found.items()) / seconds


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
        self.found[Operation(func, tuple(_form(argument) for argument in args), count)] += 1
        return out


def _form(argument: object) -> object:
    match argument:
        case Tensor():
            return Form(tuple(argument.shape), argument.stride(), argument.dtype)
        case list() | tuple():
            return tuple(_form(part) for part in argument)
    return argument


def _filled(argument: object) -> object:
    match argument:
        case Form():
            return argument.filled()
        case tuple():
            return [_filled(part) for part in argument]
    return argument
