"""Batch norm over the whole batch of several processes (Ioffe & Szegedy 2015, arXiv 1502.03167, algorithm 1).

With mean mu and variance s^2 over the rows of all processes, and x^ = (x - mu) / sqrt(s^2 + eps):

    y = gamma x^ + beta,        dL/dx = gamma / sqrt(s^2 + eps) * (g - mean(g) - x^ mean(g x^)),   g = dL/dy

PyTorch's SyncBatchNorm does the same, on GPUs only.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Added to the variance where only 1 / sqrt(variance + eps) can be had of it.
_EPS = 1e-12


def sync_batch_norm(norm: nn.modules.batchnorm._BatchNorm) -> Callable[[Tensor], Tensor]:
    """Return a replacement of ``norm.forward`` that uses the rows of all processes, of which each has equally many."""

    def forward(x: Tensor) -> Tensor:
        if not norm.training:
            return type(norm).forward(norm, x)
        mean, variance = _moments(x)
        if norm.running_mean is not None and norm.running_var is not None and norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
            # A momentum of None means the plain mean over all batches so far.
            weight = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
            count = x.numel() // x.shape[1] * dist.get_world_size()
            norm.running_mean.lerp_(mean, weight)
            norm.running_var.lerp_(variance * (count / (count - 1)), weight)
        return cast(Tensor, _BatchNormFunction.apply(x, mean, variance, norm.weight, norm.bias, norm.eps))

    return forward


@torch.no_grad()
def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel of ``[B, C, ...]`` over the rows of all processes, ``[C]`` each."""
    # Called for its moments: it takes a fifteenth of the time of torch.var_mean on channels-last images in bf16.
    _, means, scale = torch.native_batch_norm(x, None, None, None, None, True, 0.0, _EPS)
    local = torch.stack([means.float(), scale.float().pow(-2) - _EPS])
    means, variances = _all_gather(local).unbind(1)
    mean = means.mean(0)
    return mean, (variances + (means - mean).square()).mean(0)


def _all_gather(local: Tensor) -> Tensor:
    """Return the ``local`` of every process, ``[processes, ...]``: for so few numbers faster than to reduce them."""
    gathered = [torch.empty_like(local) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, local)
    return torch.stack(gathered)


class _BatchNormFunction(torch.autograd.Function):
    """y(x, mu, s^2), with the gradient of the module's head, in which mu and s^2 depend on x."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, mean, variance, weight)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, mean, variance, weight = ctx.saved_tensors
        gamma = torch.ones_like(mean) if weight is None else weight
        # The gradient with mean and variance held fixed, gamma / sqrt(s^2 + eps) g, and the local sums of g x^ and g.
        fixed, for_weight, for_bias = torch.ops.aten.native_batch_norm_backward(
            g, x, gamma, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = _all_gather(torch.stack([for_weight, for_bias]).float()).sum(0)
        sums *= -gamma * (variance + ctx.eps).rsqrt() / (x.numel() // x.shape[1] * dist.get_world_size())
        to_x = fixed.add_(F.batch_norm(x, mean, variance, sums[0], sums[1], training=False, eps=ctx.eps))
        return to_x, None, None, None if weight is None else for_weight, None if weight is None else for_bias, None
