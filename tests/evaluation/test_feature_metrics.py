"""Distances between sets, against figures computed by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scholars.evaluation.feature_metrics import frechet_distance, manifold_coverage, nearest_distances


def test_the_frechet_distance_of_two_known_gaussians() -> None:
    """Means 0 and 3; variances 1 and 4: 9 + 1 + 4 - 2 * 2 = 10. In two independent dimensions the terms add."""
    unit = torch.tensor([-1.0, 0.0, 1.0])  # variance 1
    a, b = unit[:, None], 2 * unit[:, None] + 3
    assert frechet_distance(a, b) == pytest.approx(10.0)
    grid = torch.cartesian_prod(unit, unit)
    spread = grid * torch.tensor([2.0, 1.0]) + torch.tensor([3.0, 4.0])
    # cartesian_prod repeats each value, which scales the sample variance by 9/8 * 2/3 = 3/4.
    assert frechet_distance(grid, spread) == pytest.approx(9 + 16 + 0.75, rel=1e-5)


@given(seed=st.integers(0, 2**31), count=st.integers(2, 30))
def test_a_set_is_at_no_distance_from_itself(seed: int, count: int) -> None:
    points = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-4)
    assert nearest_distances(points, points).max().item() == pytest.approx(0, abs=2e-3)
    if count > 3:
        assert manifold_coverage(points, by=points) == 1.0


def test_coverage_by_hand() -> None:
    """On a line: 0, 1, 2, 3 reach 1, 1, 1, 1 with k = 1; of -0.5, 3.9, 4.1, 50 the first two are inside."""
    line = torch.arange(4.0)[:, None]
    points = torch.tensor([-0.5, 3.9, 4.1, 50.0])[:, None]
    assert manifold_coverage(points, by=line, neighbours=1) == 0.5
    assert manifold_coverage(points, by=line[:1], neighbours=1) == 0.0


def test_the_nearest() -> None:
    found = nearest_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[0.0, 1.0], [6.0, 8.0]]))
    assert found.tolist() == pytest.approx([1.0, 18**0.5])
