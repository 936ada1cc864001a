"""Which backbone a name means, and what is said where it means none."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file

from scholars.backbones import Backbone, open_backbone
from scholars.backbones.networks import build_network
from scholars.errors import InputError
from scholars.settings import BackboneSettings


def opened(name: str, size: int | None = 64) -> Backbone:
    return open_backbone(BackboneSettings(name=name, size=size))


def test_an_unknown_name() -> None:
    with pytest.raises(InputError, match=r"no backbone 'resnet1888'\. Did you mean 'resnet") as caught:
        opened("resnet1888")
    assert len(str(caught.value)) < 250
    with pytest.raises(InputError, match=r"Did you mean 'efficientnet-lite0'\?"):
        opened("eficientnet-lite0")


def test_an_unknown_tag_of_a_known_network() -> None:
    with pytest.raises(InputError, match=r"Did you mean 'test_resnet\.r160_in1k'\?"):
        opened("test_resnet.r160")


def test_weights_from_a_file(tiny_backbone: Backbone, tiny_weights: Path, tmp_path: Path) -> None:
    """Of either format, wrapped or not, with a classifier or without."""
    weights = torch.load(tiny_weights, weights_only=True)
    save_file(weights, tmp_path / "w.safetensors")
    torch.save({"state_dict": {**weights, "fc.weight": torch.zeros(10, 96)}, "epoch": 3}, tmp_path / "w.bin")
    for file in ("w.safetensors", "w.bin"):
        found = opened(f"test_resnet={tmp_path / file}").record
        assert found == tiny_backbone.record
    assert found.name == found.architecture == "test_resnet"
    assert found.mean == (0.5, 0.5, 0.5)
    assert found.interpolation == "bilinear"
    assert found.features == 96
    assert found.licence == "that of your file"


def test_without_a_size_it_is_the_networks_own(tiny_weights: Path) -> None:
    assert opened(f"test_resnet={tiny_weights}", None).record.size == 160


def test_a_network_of_patches(tmp_path: Path) -> None:
    """Built for its size; its features are negative, too."""
    torch.save(build_network("test_vit", 64).state_dict(), tmp_path / "w.pth")
    found = opened(f"test_vit={tmp_path / 'w.pth'}")
    assert (found.record.features, found.record.root) == (64, False)
    assert found.encoder()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape == (1, 64)


def test_weights_that_do_not_fit(tiny_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"do not fit timm's resnet18: 'conv1\.weight' is missing, expected \["):
        opened(f"resnet18={tiny_weights}")
    weights = torch.load(tiny_weights, weights_only=True)
    torch.save({**weights, "conv1.0.weight": torch.zeros(1, 3)}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"'conv1\.0\.weight' has shape \[1, 3\], expected \["):
        opened(f"test_resnet={tmp_path / 'w.pth'}")
    for wrong, said in (({}, "is missing"), ([1, 2], "is missing"), ({**weights, "conv1.0.weight": 3}, "is missing")):
        torch.save(wrong, tmp_path / "w.pth")
        with pytest.raises(InputError, match=said):
            opened(f"test_resnet={tmp_path / 'w.pth'}")
    broken = {name: value * float("nan") for name, value in weights.items()}
    torch.save(broken, tmp_path / "w.pth")
    with pytest.raises(InputError, match="no feature vector of finite numbers"):
        opened(f"test_resnet={tmp_path / 'w.pth'}")


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.proof),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_with_code_is_refused(tmp_path: Path) -> None:
    torch.save(Hostile(tmp_path / "torch"), tmp_path / "w.pth")
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Hostile(tmp_path / "pickle")))
    for file in ("w.pth", "w.bin"):
        with pytest.raises(InputError, match="holds more than tensors, or is damaged"):
            opened(f"test_resnet={tmp_path / file}")
    assert not (tmp_path / "torch").exists()
    assert not (tmp_path / "pickle").exists()


@pytest.mark.parametrize("file", ["no.pth", "no.safetensors", "."])
def test_a_file_that_is_not_there(tmp_path: Path, file: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read|is no file"):
        opened(f"test_resnet={tmp_path / file}")


@pytest.mark.parametrize("size", [48, 100])
def test_a_size_that_is_not_a_multiple(size: int, tiny_weights: Path) -> None:
    for name in ("efficientnet-lite0", f"test_resnet={tiny_weights}"):
        with pytest.raises(InputError, match=rf"backbone\.size={size}: .* looks at multiples of 32 pixels"):
            opened(name, size)


def test_a_size_that_a_network_cannot_look_at(tmp_path: Path) -> None:
    torch.save(build_network("inception_v3", 96).state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match="inception_v3 cannot look at images of 32 pixels"):
        opened(f"inception_v3={tmp_path / 'w.pth'}", 32)


class Reachable:
    """A hub that answers."""

    def head(self, *args: object, **kwargs: object) -> None:
        pass


def test_without_a_network_the_places_and_the_embedded_one_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def offline(name: str, pretrained: bool = False, **kwargs: Any) -> torch.nn.Module:
        if pretrained:
            raise ConnectionError("[Errno -2] Name or service not known\nretried 5 times")
        return torch.nn.Module.eval(create(name, pretrained=False, **kwargs))

    monkeypatch.setattr(timm, "create_model", offline)
    monkeypatch.setattr(huggingface_hub, "get_session", Reachable)
    with pytest.raises(InputError) as caught:
        opened("test_resnet.r160_in1k")
    said = str(caught.value)
    assert "\n" not in said
    for part in ("Name or service", "timm/test_resnet.r160_in1k", "hub", "--backbone efficientnet-lite0", "=FILE"):
        assert part in said, part


def test_what_timm_downloads_is_used(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = timm.create_model

    def online(name: str, pretrained: bool = False, **kwargs: Any) -> torch.nn.Module:
        network = create(name, pretrained=False, **kwargs)
        if pretrained:
            network.load_state_dict(torch.load(tiny_weights, weights_only=True))
        return torch.nn.Module.eval(network)

    monkeypatch.setattr(timm, "create_model", online)
    monkeypatch.setattr(huggingface_hub, "get_session", Reachable)
    record = opened("test_resnet.r160_in1k").record
    assert record.name == "test_resnet.r160_in1k"
    assert record.architecture == "test_resnet"
    assert record.licence == "apache-2.0"
    assert record.sha256 == opened(f"test_resnet={tiny_weights}").record.sha256


def test_a_network_without_weights_needs_a_file() -> None:
    with pytest.raises(InputError, match=r"timm has no weights for 'cspresnet50d': give a file of them, .*=FILE"):
        opened("cspresnet50d")
