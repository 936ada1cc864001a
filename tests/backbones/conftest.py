"""Backbones that many tests share: their graphs are made once in each process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scholars.backbones import Backbone, open_backbone
from scholars.backbones.networks import build_network
from scholars.settings import BackboneSettings

# Of timm's own tests: of a third of a million parameters.
TINY = "test_resnet"


@pytest.fixture(scope="session")
def lite() -> Backbone:
    """The embedded backbone."""
    return _ready(open_backbone(BackboneSettings(size=64)))


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights of `TINY`, as training would save it: with norms that have seen something."""
    torch.manual_seed(0)
    network = build_network(TINY, 64)
    for name, value in network.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    file = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture(scope="session")
def tiny_backbone(tiny_weights: Path) -> Backbone:
    """`TINY` with the weights of that file."""
    return _ready(open_backbone(BackboneSettings(name=f"{TINY}={tiny_weights}", size=64)))


def _ready(backbone: Backbone) -> Backbone:
    """Make its engine now: a test that keeps ONNX Runtime away would decide for all."""
    assert backbone.engine.name == "onnxruntime"
    return backbone
