"""A narrower solver starts with what matters most of a wider one."""

from __future__ import annotations

import torch

from scholars.settings import ImageSettings, SolverSettings
from scholars.solvers import build_solver
from scholars.solvers.cnn import CNN
from scholars.solvers.pruning import prune_channels

IMAGE = ImageSettings(size=16, channels=1)


def cnn(width: int, seed: int = 0, channels: int = 1, classes: int = 3) -> CNN:
    torch.manual_seed(seed)
    made = build_solver(SolverSettings(width=width), IMAGE.model_copy(update={"channels": channels}), classes)
    assert isinstance(made, CNN)
    return made.eval()


def test_channels_that_do_nothing_are_the_ones_to_go() -> None:
    """Where every other channel has no gain and no shift, the narrower network computes the very same."""
    wide, narrow = cnn(16), cnn(8, seed=1)
    norms = [layer for layer in wide.body if isinstance(layer, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight[::2] = 0
            norm.bias[::2] = 0
            norm.get_buffer("running_mean").uniform_(-0.1, 0.1)
            norm.weight[1::2].uniform_(0.5, 1.5)
    images = torch.randint(0, 256, (5, 1, 16, 16), dtype=torch.uint8)
    assert prune_channels(wide, narrow)
    assert torch.allclose(narrow(images), wide(images), atol=1e-5)


def test_what_does_not_fit_is_left_alone() -> None:
    wide = cnn(16)
    others = [cnn(16, 1), cnn(24, 1), cnn(8, 1, channels=3), cnn(8, 1, classes=4)]
    mlp = build_solver(SolverSettings(kind="mlp", width=8), IMAGE, 3)
    for other in (*others, mlp):
        before = {name: value.clone() for name, value in other.state_dict().items()}
        assert not prune_channels(wide, other)
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in before.items())
    assert not prune_channels(mlp, cnn(8))
