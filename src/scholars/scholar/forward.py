"""Run a solver on many images, or features, some at a time, without gradients."""

import torch
from torch import Tensor

from scholars.compute.device import device_for
from scholars.settings import ComputeSettings
from scholars.solvers import Solver

# Feature vectors at a time.
_ROWS = 4096


def image_features_and_logits(
    solver: Solver, images: Tensor, compute: ComputeSettings, chunk: int
) -> tuple[Tensor, Tensor]:
    """Return what the solver's last layer sees and gives, ``[N, D]`` and ``[N, K]``, for images ``[N, C, H, W]``."""
    device = device_for(compute)
    solver.eval()
    features, logits = [], []
    with torch.inference_mode(), device.autocast():
        for part in torch.split(images, chunk):  # of no images: one empty part
            seen = solver.features(part.to(device.device))
            features.append(seen.float().cpu())
            logits.append(solver.classify(seen).float().cpu())
    return torch.cat(features), torch.cat(logits)


def feature_logits(solver: Solver, features: Tensor, compute: ComputeSettings) -> Tensor:
    """Return the logits ``[N, K]`` for features ``[N, D]``.

    Without autocast: a head takes a small share of the backbone's time.
    """
    device = device_for(compute).device
    solver.eval()
    with torch.inference_mode():
        return torch.cat([solver(part.to(device)).cpu() for part in torch.split(features, _ROWS)])
