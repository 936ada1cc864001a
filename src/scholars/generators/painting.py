"""The two networks of the adversarial generators and of the VAE, for any image side that is a multiple of 4.

A DCGAN (Radford et al. 2016, arXiv 1511.06434) whose painter enlarges its maps before 3x3 convolutions instead of
transposing strided ones (Odena et al. 2016): in equal time its images are nearer to the real ones
(docs/measurements.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def smallest(size: int) -> tuple[int, int]:
    """The side of the smallest feature map and how many doublings lead from it to ``size``: 32: (4, 3), 28: (7, 2)."""
    doublings = 0
    while size % 2 == 0 and size > 7:
        size, doublings = size // 2, doublings + 1
    return size, doublings


# Dimensions in which a condition is described to a network.
EMBEDDING = 32


class Painter(nn.Module):
    """Noise ``[B, latent]`` and conditions ``[B]`` -> images ``[B, channels, size, size]`` in [-1, 1].

    conditions: how many there are; 0 for a painter that heeds none
    """

    def __init__(self, latent: int, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        side, doublings = smallest(size)
        wide = width << (doublings - 1)
        self.condition = nn.Embedding(conditions, EMBEDDING) if conditions else None
        layers: list[nn.Module] = [
            nn.Linear(latent + EMBEDDING * bool(conditions), wide * side * side, bias=False),
            nn.Unflatten(1, (wide, side, side)),
            nn.BatchNorm2d(wide),
            nn.ReLU(inplace=True),
        ]
        for stage in reversed(range(1, doublings)):
            out = width << (stage - 1)
            layers += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(out * 2, out, 3, padding=1, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, channels, 3, padding=1), nn.Tanh()]
        self.body = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, noise: Tensor, conditions: Tensor) -> Tensor:
        """Paint one image per row of ``noise``."""
        if self.condition is not None:
            noise = torch.cat([noise, self.condition(conditions)], dim=1)
        images: Tensor = self.body(noise)
        return images


class Critic(nn.Module):
    """Images ``[B, channels, size, size]`` -> ``[B, outputs]``.

    No batch norm: the gradient penalty is about each image by itself (Gulrajani et al. 2017, section 4).
    """

    def __init__(self, channels: int, size: int, width: int, outputs: int = 1) -> None:
        super().__init__()
        side, doublings = smallest(size)
        layers: list[nn.Module] = []
        for stage in range(doublings):
            out = width << stage
            layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
            channels = out
        self.body = nn.Sequential(*layers)
        # No bias: in a Wasserstein distance it cancels.
        self.leave = nn.Conv2d(channels, outputs, side, bias=False)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """Judge each image."""
        return torch.flatten(self.leave(self.body(images)), 1)


class ProjectionCritic(nn.Module):
    """A critic that knows what the images are to show (Miyato & Koyama 2018, arXiv 1802.05637, eq. 3).

    The score of x as a y is  s(x) + <e(y), f(x)>,  s and f being outputs of one `Critic`, e an embedding.

    conditions: how many there are; 0 for a critic that heeds none, and scores s(x)
    """

    def __init__(self, channels: int, size: int, width: int, conditions: int) -> None:
        super().__init__()
        self.judge = Critic(channels, size, width, outputs=1 + EMBEDDING * bool(conditions))
        self.condition = nn.Embedding(conditions, EMBEDDING) if conditions else None

    def forward(self, images: Tensor, conditions: Tensor) -> Tensor:
        """Images ``[B, C, H, W]`` and conditions ``[B]`` -> scores ``[B]``."""
        outputs: Tensor = self.judge(images)
        if self.condition is None:
            return outputs[:, 0]
        known: Tensor = self.condition(conditions)
        return outputs[:, 0] + (outputs[:, 1:] * known).sum(dim=1)


def _initialise(module: nn.Module) -> None:
    """N(0, 0.02) weights, the DCGAN paper's choice."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
