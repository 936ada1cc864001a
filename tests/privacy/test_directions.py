"""Public directions of a backbone's features, from its weights alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from scholars.backbones import Backbone, open_backbone
from scholars.privacy.directions import MOST_DIRECTIONS, find_directions
from scholars.settings import BackboneSettings


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return open_backbone(BackboneSettings(size=64))


def test_they_are_those_of_the_last_matrix(backbone: Backbone) -> None:
    found = find_directions(backbone)
    assert found.basis.shape == (MOST_DIRECTIONS, backbone.record.features)
    assert torch.allclose(found.basis @ found.basis.T, torch.eye(MOST_DIRECTIONS, dtype=torch.float64), atol=1e-6)
    matrix = backbone.weights["conv_head.weight"].double().flatten(1)
    assert torch.allclose((found.basis @ matrix).norm(dim=1), found.scale, rtol=1e-6)
    assert bool((found.scale[:-1] >= found.scale[1:]).all())


def test_the_order_of_a_file_does_not_matter(backbone: Backbone) -> None:
    """In a safetensors file tensors stand in the order of their names."""
    by_name = replace(backbone, weights=dict(sorted(backbone.weights.items())))
    assert torch.equal(find_directions(by_name).basis, find_directions(backbone).basis)


def test_without_such_a_matrix_they_are_random_but_always_the_same(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = backbone.record.model_copy(update={"features": 1279})
    monkeypatch.setattr(Backbone, "features", lambda self, images: torch.ones(len(images), 1279))
    odd = replace(backbone, record=record)
    one, again = find_directions(odd), find_directions(odd)
    assert one.basis.shape == (MOST_DIRECTIONS, 1279)
    assert torch.equal(one.basis, again.basis)
    assert one.scale.tolist() == pytest.approx([1.0] * MOST_DIRECTIONS)
