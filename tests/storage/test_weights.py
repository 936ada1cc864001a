"""Weights that do not fit their network are refused by name."""

from __future__ import annotations

import pytest
import torch

from scholars.errors import InputError
from scholars.storage.weights import build_from_weights, load_weights


def test_weights_that_do_not_fit_are_named() -> None:
    module = torch.nn.Linear(3, 2)
    with pytest.raises(InputError, match=r"'weight': expected float32 \[2, 3\], found float32 \[4, 3\]"):
        load_weights(module, {"weight": torch.zeros(4, 3), "bias": torch.zeros(2)}, "here")
    with pytest.raises(InputError, match=r"'extra': expected nothing"):
        load_weights(module, {**module.state_dict(), "extra": torch.zeros(1)}, "here")


def test_a_network_is_built_and_filled() -> None:
    weights = torch.nn.Linear(3, 2).state_dict()
    built = build_from_weights(lambda: torch.nn.Linear(3, 2), weights, "here")
    assert torch.equal(built.weight, weights["weight"])
    with pytest.raises(InputError, match=r"here.*'weight': expected float32 \[5, 3\], found float32 \[2, 3\]"):
        build_from_weights(lambda: torch.nn.Linear(3, 5, bias=False), {"weight": weights["weight"]}, "here")
