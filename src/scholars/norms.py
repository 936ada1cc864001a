"""Batch norm over the rows of several processes (Ioffe & Szegedy 2015, arXiv 1502.03167, algorithm 1).

With m rows in all, mean mu and variance s^2 over all of them, and x^ = (x - mu) / sqrt(s^2 + eps):

    y = gamma x^ + beta,        dL/dx = gamma / sqrt(s^2 + eps) * (g - mean(g) - x^ mean(g x^)),   g = dL/dy

PyTorch's own SyncBatchNorm does the same on GPUs only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def shared_norm(norm: nn.modules.batchnorm._BatchNorm) -> Callable[[Tensor], Tensor]:
    """What ``norm.forward`` is while several processes, with equally many rows each, train as one."""

    def forward(x: Tensor) -> Tensor:
        if not norm.training:
            return type(norm).forward(norm, x)
        mean, variance = _moments(x)
        if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            # None: the plain mean over all batches so far.
            weight = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            count = x.numel() // x.shape[1] * dist.get_world_size()
            norm.running_mean.lerp_(mean, weight)
            norm.running_var.lerp_(variance * (count / (count - 1)), weight)
        return cast(Tensor, _Normalised.apply(x, mean, variance, norm.weight, norm.bias, norm.eps))

    return forward


@torch.no_grad()
def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of ``[B, C, ...]`` over the rows of all processes, ``[C]`` each."""
    own = torch.stack(torch.var_mean(x.float(), _but_channels(x), correction=0))
    all_of_them = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(all_of_them, own)
    variances, means = torch.stack(all_of_them).unbind(1)
    mean = means.mean(0)
    return mean, (variances + (means - mean).square()).mean(0)


def _but_channels(x: Tensor) -> list[int]:
    return [axis for axis in range(x.ndim) if axis != 1]


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, mean, (variance + eps).rsqrt(), weight)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, scale, weight = ctx.saved_tensors
        shape = [1, -1, *(1 for _ in x.shape[2:])]
        g = gradient.float()
        normal = (x.float() - mean.view(shape)) * scale.view(shape)
        sums = torch.stack([g.sum(_but_channels(x)), (g * normal).sum(_but_channels(x))])
        for_bias, for_weight = sums.clone()
        dist.all_reduce(sums)
        sums /= x.numel() // x.shape[1] * dist.get_world_size()
        slope = scale if weight is None else scale * weight.float()
        to_x = slope.view(shape) * (g - sums[0].view(shape) - normal * sums[1].view(shape))
        return (
            to_x.to(x.dtype),
            None,
            None,
            None if weight is None else for_weight.to(weight.dtype),
            None if weight is None else for_bias.to(weight.dtype),
            None,
        )
