"""What is in a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scholars.replay import Mix, Pool, ratio_of_new, shares
from scholars.tasks import Images


def pool(value: int, count: int = 5, classes: int = 3) -> Pool:
    images = torch.full((count, 1, 8, 8), value, dtype=torch.uint8)
    return Pool(images, torch.zeros(count, dtype=torch.int64), classes)


def test_a_pool_pads_the_targets_of_fewer_classes() -> None:
    soft = Pool(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([[0.25, 0.75]] * 4), classes=4)
    assert soft.draw(2).targets.tolist() == [[0.25, 0.75, 0.0, 0.0]] * 2


def test_a_pool_of_real_data_maps_labels_to_outputs() -> None:
    data = Images(np.zeros((6, 1, 8, 8), np.uint8), np.array([0, 1, 0, 1, 0, 1]))
    drawn = Pool.of(data, outputs=[3, 2], classes=5).draw(50)
    assert drawn.targets.shape == (50, 5)
    assert set(drawn.labels.tolist()) == {2, 3}
    assert torch.equal(drawn.targets.sum(1), torch.ones(50))


@given(share=st.floats(0.01, 0.99), count=st.integers(1, 200), seed=st.integers(0, 2**31))
def test_a_mix_keeps_its_shares_within_one_image(share: float, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    batch = Mix([(share, pool(1)), (1 - share, pool(2))]).draw(count)
    ones = int((batch.images[:, 0, 0, 0] == 1).sum())
    assert len(batch.images) == count
    assert abs(ones - share * count) < 1 + 1e-6


def test_a_mix_keeps_its_shares_on_average() -> None:
    torch.manual_seed(0)
    mix = Mix([(0.3, pool(1)), (0.3, pool(2)), (0.4, pool(3))])
    values = torch.cat([mix.draw(5).images[:, 0, 0, 0] for _ in range(2000)])
    for value, share in ((1, 0.3), (2, 0.3), (3, 0.4)):
        assert float((values == value).float().mean()) == pytest.approx(share, abs=0.01)


def test_the_first_task_is_all_new() -> None:
    assert ratio_of_new(0.5, [10]) == 1.0
    assert ratio_of_new("auto", [10]) == 1.0


def test_shares_hand_on_what_is_known() -> None:
    assert shares(0.5, [10, 10, 10]) == pytest.approx([0.25, 0.25, 0.5])
    assert shares("auto", [10, 10, 10]) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert shares("auto", [2, 2, 6]) == pytest.approx([0.2, 0.2, 0.6])


@given(
    ratio=st.one_of(st.just("auto"), st.floats(0.01, 1)), brought=st.lists(st.integers(1, 50), min_size=1, max_size=9)
)
def test_shares_sum_to_one(ratio: float, brought: list[int]) -> None:
    assert sum(shares(ratio, brought)) == pytest.approx(1)
