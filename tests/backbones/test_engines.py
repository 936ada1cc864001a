"""What runs a backbone: equal bits for equal images, and PyTorch's features by another engine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from photographs import own_features
from torch import nn

from scholars.backbones import Backbone, engines
from scholars.backbones.engines import OnnxEngine, TorchEngine, choose_engine
from scholars.backbones.networks import Encoder, build_network, digest_weights, fold_norms, probe_images, stride
from scholars.errors import InputError
from scholars.settings import ComputeSettings

IMAGES = torch.randint(0, 256, (40, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
CPU = torch.device("cpu")


def test_features_do_not_depend_on_what_else_is_looked_at(lite: Backbone) -> None:
    """On neighbours, the place among them, padding, or how many threads there are."""
    together = lite.features(IMAGES)
    assert together.shape == (40, 1280)
    assert together.dtype == torch.float32
    for count in (1, 3, 16, 17):
        assert torch.equal(lite.features(IMAGES[:count]), together[:count])
    assert torch.equal(lite.features(IMAGES.flip(0)), together.flip(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        assert torch.equal(lite.features(IMAGES), together)
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(together[0], together[1])


def test_no_image(lite: Backbone) -> None:
    assert lite.features(IMAGES[:0]).shape == (0, 1280)


@pytest.mark.parametrize(
    "images", [IMAGES.float(), IMAGES[:, :1], IMAGES[:, :, :32], IMAGES[0]], ids=["float", "grey", "flat", "single"]
)
def test_images_of_another_shape_are_refused(lite: Backbone, images: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"looks at uint8 images \[N, 3, 64, 64\], not"):
        lite.features(images)


def test_both_engines_see_the_same(lite: Backbone) -> None:
    assert lite.engine.name == "onnxruntime"
    other = TorchEngine(lite.encoder(), 64, CPU)
    a, b = lite.engine.run(IMAGES[:16]), other.run(IMAGES[:16])
    assert (a - b).abs().max() <= 1e-3 * b.abs().max()
    assert not torch.equal(a, torch.zeros_like(a))


def test_features_that_are_never_negative_have_their_roots_taken(lite: Backbone) -> None:
    encoder = lite.encoder()
    with torch.inference_mode():
        rooted = encoder(IMAGES[:2])
        encoder.root = False
        plain = encoder(IMAGES[:2])
    assert torch.allclose(rooted.square(), plain, atol=1e-4)


def test_folding_norms_keeps_the_features(tiny_backbone: Backbone) -> None:
    network = tiny_backbone.encoder().network
    x = probe_images(2, 64).float() / 255
    with torch.no_grad():
        folded = fold_norms(network, x)
        assert folded is not network
        assert torch.allclose(folded(x), network(x), rtol=1e-3, atol=1e-4)
    count = [sum(isinstance(part, nn.BatchNorm2d) for part in each.modules()) for each in (network, folded)]
    assert count[0] > count[1] == 0


def test_norms_that_cannot_be_folded_stay() -> None:
    """A norm of a convolution whose output is used twice, without the norm, too."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.norm.running_mean = torch.ones(4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen = self.convolution(images)
            return torch.as_tensor(self.norm(seen) + seen)

    network = Twice().eval()
    assert fold_norms(network, torch.rand(2, 3, 8, 8)) is network


def exporting(patch: pytest.MonkeyPatch) -> list[int]:
    """Count exports."""
    exported: list[int] = []
    export = engines._export

    def counted(encoder: Encoder, size: int) -> bytes | None:
        exported.append(size)
        return export(encoder, size)

    patch.setattr(engines, "_export", counted)
    return exported


def test_a_graph_is_made_once(tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHOLARS_CACHE", str(tmp_path / "cache"))
    exported = exporting(monkeypatch)
    first = choose_engine(tiny_backbone.encoder, tiny_backbone.record, CPU)

    def build() -> Encoder:
        raise AssertionError("it was built")

    second = choose_engine(build, tiny_backbone.record, CPU)
    assert exported == [64]
    assert torch.equal(first.run(IMAGES[:16]), second.run(IMAGES[:16]))
    (graph,) = (tmp_path / "cache" / "graphs").glob("*.onnx")
    # Made anew where it is damaged.
    graph.write_bytes(graph.read_bytes()[:1000])
    third = choose_engine(tiny_backbone.encoder, tiny_backbone.record, CPU)
    assert exported == [64, 64]
    assert torch.equal(third.run(IMAGES[:16]), first.run(IMAGES[:16]))


def test_a_cache_that_cannot_be_written_to(
    tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder can be made here")
    monkeypatch.setenv("SCHOLARS_CACHE", str(tmp_path / "file"))
    exported = exporting(monkeypatch)
    engine = choose_engine(tiny_backbone.encoder, tiny_backbone.record, CPU)
    assert engine.name == "onnxruntime"
    assert exported == [64]


def test_what_onnx_cannot_express_is_run_by_torch(
    tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = own_features(monkeypatch, tmp_path / "cache")
    (cache / "graphs").unlink()

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr("torch.onnx.export", refuse)
    engine = choose_engine(tiny_backbone.encoder, tiny_backbone.record, CPU)
    assert engine.name == "torch"
    assert not list(cache.glob("graphs/*"))
    assert (engine.run(IMAGES[:16]) - tiny_backbone.engine.run(IMAGES[:16])).abs().max() < 1e-3


def test_a_graph_that_sees_something_else_is_not_used(
    tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHOLARS_CACHE", str(tmp_path))
    run: Callable[..., torch.Tensor] = OnnxEngine.run
    monkeypatch.setattr(OnnxEngine, "run", lambda self, images: 1.01 * run(self, images))
    assert choose_engine(tiny_backbone.encoder, tiny_backbone.record, CPU).name == "torch"


def test_a_backbone_goes_to_other_processes_without_its_engine(lite: Backbone) -> None:
    assert lite.engine
    assert "engine" not in lite.__getstate__()
    assert lite.on(lite.compute) is lite
    other = lite.on(ComputeSettings(device="cpu"))
    assert other.record is lite.record
    assert other.compute.device == "cpu"


@pytest.mark.parametrize(("name", "size", "expected"), [("test_resnet", 64, 32), ("test_vit", 64, 16)])
def test_by_what_the_side_must_be_divisible(name: str, size: int, expected: int) -> None:
    assert stride(build_network(name, size)) == expected


def test_networks_that_do_not_say_take_any_side() -> None:
    assert stride(nn.Flatten()) == 1


def test_the_digest_is_of_names_types_shapes_and_values() -> None:
    weights: dict[str, Any] = {"a": torch.zeros(2, 3), "b": torch.tensor(1), "c": torch.zeros(0)}
    expected = digest_weights(weights)
    assert digest_weights(dict(reversed(weights.items()))) == expected
    others = [
        {**weights, "a": torch.zeros(3, 2)},
        {**weights, "a": torch.zeros(2, 3).int()},
        {**weights, "a": -torch.zeros(2, 3)},
        {**weights, "a": torch.zeros(2, 3, dtype=torch.bfloat16)},
        {"x": weights["a"], "b": weights["b"], "c": weights["c"]},
    ]
    assert len({expected, *map(digest_weights, others)}) == 6


def test_graphs_are_in_the_cache_of_the_user(lite: Backbone) -> None:
    assert lite.engine
    assert list((Path(os.environ["SCHOLARS_CACHE"]) / "graphs").glob("*.onnx"))
