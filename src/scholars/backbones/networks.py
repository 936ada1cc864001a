"""Build a backbone's network, by timm, and prepare it to look at images.

timm is imported where it is used: it takes two seconds, and scholars of pixels need none of it.
"""

import copy
import hashlib
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from scholars.errors import InputError, one_line
from scholars.storage.records import BackboneRecord

# Largest difference that folding norms may make, as a share of the largest feature.
_MAX_FOLDING_ERROR = 1e-3


class Encoder(nn.Module):
    """Maps uint8 images ``[B, 3, S, S]`` to features ``[B, D]`` float32: normalised, through the network, transformed.

    The transform of features that are never negative is the square root: it brings the spread of rare, large ones
    nearer to that of the others.
    """

    def __init__(self, network: nn.Module, record: BackboneRecord) -> None:
        super().__init__()
        self.network, self.root = network, record.root
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (record.mean, record.std))
        self.register_buffer("mean", 255 * mean, persistent=False)
        self.register_buffer("std", 255 * std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features."""
        seen = self.network((images.float() - cast(Tensor, self.mean)) / cast(Tensor, self.std)).float()
        return cast(Tensor, seen.clamp_min(0).sqrt() if self.root else seen)


def build_network(architecture: str, size: int) -> nn.Module:
    """Build timm's network without its classifier, weights as yet random.

    Raises InputError for an architecture that timm does not have, or that cannot look at images of that size.
    """
    import timm

    if architecture not in timm.list_models():
        raise InputError(f"timm {timm.__version__} has no network {architecture!r}: install a version that has it")
    # Networks with a fixed grid of patches are built for a size.
    fixed = timm.get_pretrained_cfg(architecture)
    sized: dict[str, Any] = {"img_size": size} if fixed is not None and fixed.fixed_input_size else {}
    try:
        network = timm.create_model(architecture, pretrained=False, num_classes=0, **sized)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{architecture} cannot look at images of {size} pixels: {one_line(error)}") from None
    return network.eval().requires_grad_(False)


def stride(network: nn.Module) -> int:
    """Return by what the side of its images must be divisible; 1 where the network does not say."""
    if (patches := getattr(network, "patch_embed", None)) is not None and hasattr(patches, "patch_size"):
        size = patches.patch_size
        return int(size[0] if isinstance(size, tuple) else size)
    info = getattr(network, "feature_info", None)
    steps = [entry["reduction"] for entry in info] if isinstance(info, list) else []
    return int(max(steps, default=1))


def digest_weights(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors with their names, types and shapes."""
    found = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name]
        found.update(repr((name, str(value.dtype), tuple(value.shape))).encode())
        # As bytes: numpy lacks some of torch's types.
        found.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def probe_images(count: int, size: int) -> Tensor:
    """Return noise ``[count, 3, size, size]`` uint8, always the same, to try a network on."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def fold_norms(network: nn.Module, images: Tensor) -> nn.Module:
    """Return a copy whose batch norms are folded into the convolutions before them; the network itself if it then errs.

    images: float ``[B, 3, S, S]``, on which the pairs are found and the result is compared
    """
    folded = copy.deepcopy(network)
    producers: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def produced(module: nn.Module, _: Any, output: Tensor) -> None:
        producers[id(output)] = cast(nn.Conv2d, module), output  # kept: ids of what is gone are used again

    def normalised(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if id(inputs[0]) in producers:
            pairs.append((producers[id(inputs[0])][0], cast(nn.BatchNorm2d, module)))

    hooks: list[Any] = []
    for module in folded.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(produced))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(normalised))
    expected = folded(images)
    for hook in hooks:
        hook.remove()
    parents = {child: (parent, name) for parent in folded.modules() for name, child in parent.named_children()}
    for convolution, norm in pairs:
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        weight, bias = fuse_conv_bn_weights(
            convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
        )
        convolution.weight, convolution.bias = weight.requires_grad_(False), bias.requires_grad_(False)
        parent, name = parents[norm]
        # timm's norms apply the activation, too.
        setattr(parent, name, getattr(norm, "act", nn.Identity()))
    difference = (folded(images) - expected).abs().max()
    return folded if bool(difference <= _MAX_FOLDING_ERROR * expected.abs().max()) else network
