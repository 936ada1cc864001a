"""What is packed comes back to the last bit; damage is one message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scholars.checkpoints import packed, unpacked
from scholars.errors import InputError

HERE = Path("checkpoint")


@given(st.integers(0, 2**32 - 1), st.sampled_from([(), (1,), (256,), (3, 100), (17, 4, 4, 4)]), st.booleans())
def test_any_bits_come_back(seed: int, shape: tuple[int, ...], turned: bool) -> None:
    """Also those of infinities and of numbers that are none, and of tensors that lie otherwise in memory."""
    bits = np.random.default_rng(seed).integers(0, 2**32, shape, dtype=np.uint32)
    value = torch.from_numpy(np.asarray(bits).view(np.float32))
    value = value.T if turned and value.ndim == 2 else value
    found = unpacked(packed({"a": value, "count": torch.tensor(7)}), HERE)
    assert found.keys() == {"a", "count"}
    assert torch.equal(found["a"].view(torch.int32), value.contiguous().view(torch.int32))
    assert found["a"].shape == value.shape
    assert int(found["count"]) == 7


def test_weights_take_less_room() -> None:
    weights = torch.randn(100_000, generator=torch.Generator().manual_seed(0)) * 0.02
    assert sum(part.nbytes for part in packed({"a": weights}).values()) < 0.87 * weights.nbytes


@pytest.mark.parametrize(
    "change", [lambda x: x[:-9], lambda x: x * 0, lambda x: packed({"b": torch.zeros(999)})["b~upper"]]
)
def test_parts_that_do_not_belong_together_are_refused_by_name(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    parts = packed({"a": torch.randn(300)})
    parts["a~upper"] = change(parts["a~upper"])
    with pytest.raises(InputError, match="checkpoint is damaged at 'a'"):
        unpacked(parts, HERE)
