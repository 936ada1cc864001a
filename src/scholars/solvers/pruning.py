"""Prune a convolutional solver: a narrower one starts with the channels of a wider one that matter most."""

import torch
from torch import Tensor, nn

from scholars.solvers.base import Solver
from scholars.solvers.cnn import CNN


@torch.no_grad()
def prune_channels(solver: Solver, narrower: Solver) -> bool:
    """Give ``narrower`` the weights of the channels of ``solver`` that matter most; return whether they fit.

    Of each convolution those channels are kept whose norm's gain, times the weights by which the next layer sees
    them, is largest: |gain| sum |w| (Liu et al. 2017, network slimming, arXiv 1708.06519, with the weights after it).
    Nothing is changed where the two are not convolutional networks that see the same images and classes, or the one
    is not narrower.
    """
    if not (isinstance(solver, CNN) and isinstance(narrower, CNN)) or not _is_narrower(solver, narrower):
        return False
    layers, smaller = _layers(solver), _layers(narrower)
    kept = torch.arange(layers[0][0].in_channels, device=layers[0][0].weight.device)
    for place, ((convolution, norm), (own_convolution, own_norm)) in enumerate(zip(layers, smaller, strict=True)):
        matter = norm.weight.abs() * _seen_by_next(solver, place)
        chosen = matter.topk(own_convolution.out_channels).indices.sort().values
        own_convolution.weight.copy_(convolution.weight[chosen][:, kept])
        for name, value in norm.state_dict().items():
            own_norm.state_dict()[name].copy_(value[chosen] if value.ndim else value)
        kept = chosen
    # The head sees the mean of each channel, then its maximum.
    both = torch.cat([kept, kept + layers[-1][0].out_channels])
    narrower.head.weight.copy_(solver.head.weight[:, both])
    narrower.head.bias.copy_(solver.head.bias)
    return True


def _layers(solver: CNN) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    convolutions = [layer for layer in solver.body if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in solver.body if isinstance(layer, nn.BatchNorm2d)]
    return list(zip(convolutions, norms, strict=True))


def _is_narrower(solver: CNN, narrower: CNN) -> bool:
    pairs = list(zip(_layers(solver), _layers(narrower), strict=True))
    same_ends = (
        pairs[0][0][0].in_channels == pairs[0][1][0].in_channels
        and solver.head.out_features == narrower.head.out_features
    )
    return same_ends and all(one[0].out_channels > other[0].out_channels for one, other in pairs)


def _seen_by_next(solver: CNN, place: int) -> Tensor:
    """Return the sum of the weights' magnitudes by which the next layer sees each channel, ``[channels]``."""
    layers = _layers(solver)
    if place + 1 < len(layers):
        return layers[place + 1][0].weight.abs().sum((0, 2, 3))
    return solver.head.weight.abs().sum(0).reshape(2, -1).sum(0)
