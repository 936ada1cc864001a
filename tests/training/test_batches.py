"""What is in a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from scholars.settings import Balance
from scholars.tasks.images import Images
from scholars.training.batches import Augmented, Mix, Pool, balance, mix_shares, new_data_ratio, shift, warp


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
    later = Pool.of(data, outputs=[3, 2], classes=5, first_condition=7).draw(50)
    assert torch.equal(later.conditions, torch.where(later.labels == 3, 7, 8))


def test_a_balanced_pool_draws_every_class_that_occurs_equally_often() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0] * 90 + [1] * 9 + [3])
    images = torch.zeros(100, 1, 8, 8, dtype=torch.uint8)
    drawn = Pool(images, labels, 4, weights=balance(labels)).draw(6000)
    mix_shares = torch.bincount(drawn.labels, minlength=4) / 6000
    assert mix_shares.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=0.02)
    soft = F.one_hot(labels, 4) * 0.8 + 0.05
    again = Pool(images, soft, 4, weights=balance(soft.argmax(1))).draw(6000)
    assert float((again.labels == 3).float().mean()) == pytest.approx(1 / 3, abs=0.02)


def test_real_data_is_drawn_by_class_where_it_is_asked_for() -> None:
    data = Images(np.zeros((204, 1, 8, 8), np.uint8), np.repeat([0, 1, 2], [100, 100, 4]))

    def shares(policy: Balance) -> list[float]:
        torch.manual_seed(0)
        drawn = Pool.of(data, outputs=[4, 3, 0], classes=5, balance=policy).draw(6000)
        return (torch.bincount(drawn.labels, minlength=5)[[4, 3, 0]] / 6000).tolist()

    assert shares("classes") == pytest.approx([1 / 3] * 3, abs=0.02)
    assert shares("none") == pytest.approx([100 / 204, 100 / 204, 4 / 204], abs=0.02)


def test_mixup_mixes_images_and_targets_in_the_same_proportion() -> None:
    """Images of 0 and of 200 with the classes 0 and 1: brightness tells how much of class 1 is in the target."""
    torch.manual_seed(0)
    images = torch.tensor([0, 200], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 1, 8, 8).contiguous()
    batch = Augmented(Pool(images, torch.tensor([0, 1]), 2), mixup=1.0).draw(400)
    brightness = batch.inputs[:, 0, 0, 0].float() / 200
    assert torch.allclose(brightness, batch.targets[:, 1], atol=0.5 / 200 + 1e-6)
    assert torch.allclose(batch.targets.sum(1), torch.ones(400))
    assert 0.3 < float(((brightness > 0.1) & (brightness < 0.9)).float().mean()) < 0.6


def test_smoothing_gives_a_share_of_each_label_to_all_classes() -> None:
    """0.2 of a label of four classes: 0.05 for each, and 0.8 more for the one that it named."""
    source = Pool(torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.tensor([2]), 4)
    targets = Augmented(source, smoothing=0.2).draw(3).targets
    assert torch.allclose(targets, torch.tensor([0.05, 0.05, 0.85, 0.05]).expand(3, 4))


def test_a_warp_moves_what_is_far_from_the_middle_by_up_to_a_share_of_the_size() -> None:
    """A bright line 8 pixels left of the middle, seen at the middle's height: at most 0.25 * 8 = 2 pixels elsewhere
    by stretching, to which a row that is off the middle adds as much for its own distance by slanting."""
    torch.manual_seed(0)
    line = torch.zeros(1, 1, 33, 33, dtype=torch.uint8)
    line[..., 8] = 240
    rows = warp(line.expand(500, -1, -1, -1), 0.25)[:, 0].float()
    places = torch.arange(33.0)
    middle = (rows[:, 16] * places).sum(1) / rows[:, 16].sum(1)
    # (1 + a) (x - 16) = 8 - 16 for |a| <= 0.25: between 16 - 8 / 0.75 and 16 - 8 / 1.25.
    assert 5 < float(middle.min()) < 6.2 and 9 < float(middle.max()) < 10
    slant = (rows[:, 24] * places).sum(1) / rows[:, 24].sum(1) - middle
    assert 1.5 < float(slant.abs().max()) < 3
    assert float(slant.mean()) == pytest.approx(0, abs=0.2)
    assert torch.equal(warp(line, 0), line)


def test_a_warp_repeats_the_border_and_keeps_what_is_even() -> None:
    torch.manual_seed(0)
    even = torch.full((20, 3, 16, 16), 255, dtype=torch.uint8)
    assert torch.equal(warp(even, 0.5), even)


def test_noise_is_of_a_deviation_of_its_own_for_each_image_up_to_the_greatest() -> None:
    """Uniform between 0 and 40: 20 on average, 40 at most, within what 1,024 pixels tell of a deviation (sd 2 %)."""
    torch.manual_seed(0)
    source = Pool(torch.full((1, 1, 32, 32), 128, dtype=torch.uint8), torch.tensor([0]), 1)
    drawn = Augmented(source, noise=40).draw(300).inputs.float()
    deviations = drawn.flatten(1).std(1)
    assert float(drawn.mean()) == pytest.approx(128, abs=0.5)
    assert float(deviations.mean()) == pytest.approx(20, abs=2)
    assert float(deviations.max()) < 40 * 1.1
    assert float(deviations.min()) < 2


def test_noise_ends_at_black_and_white() -> None:
    torch.manual_seed(0)
    source = Pool(
        torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 1, 8, 8), torch.tensor([0, 1]), 2
    )
    images, targets, *_ = Augmented(source, noise=50).draw(100)
    bright = targets[:, 1].bool()
    assert int(images[~bright].max()) < 250 and float(images[~bright].float().median()) < 30
    assert int(images[bright].min()) > 5 and float(images[bright].float().median()) > 225


def test_flips_mirror_half_of_the_images() -> None:
    torch.manual_seed(0)
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    source = Pool(image, torch.zeros(1, dtype=torch.int64), 1)
    drawn = Augmented(source, flip=True).draw(400).inputs
    mirrored = (drawn == image.flip(3)).flatten(1).all(1)
    assert bool((mirrored | (drawn == image).flatten(1).all(1)).all())
    assert 0.4 < float(mirrored.float().mean()) < 0.6
    assert torch.equal(Augmented(source).draw(3).inputs, image.expand(3, -1, -1, -1))


def test_half_of_the_images_become_negatives() -> None:
    torch.manual_seed(0)
    image = torch.arange(0, 250, 5, dtype=torch.uint8)[:48].reshape(1, 3, 4, 4)
    source = Pool(image, torch.zeros(1, dtype=torch.int64), 1)
    drawn = Augmented(source, invert=True).draw(400).inputs
    assert drawn.dtype == torch.uint8
    negative = (drawn.int() + image.int() == 255).flatten(1).all(1)
    assert bool((negative | (drawn == image).flatten(1).all(1)).all())
    assert 0.4 < float(negative.float().mean()) < 0.6


@given(share=st.floats(0.01, 0.99), count=st.integers(1, 200), seed=st.integers(0, 2**31))
def test_a_mix_keeps_its_shares_within_one_image(share: float, count: int, seed: int) -> None:
    torch.manual_seed(seed)
    batch = Mix([(share, pool(1)), (1 - share, pool(2))]).draw(count)
    ones = int((batch.inputs[:, 0, 0, 0] == 1).sum())
    assert len(batch.inputs) == count
    assert abs(ones - share * count) < 1 + 1e-6


def test_a_mix_keeps_its_shares_on_average() -> None:
    torch.manual_seed(0)
    mix = Mix([(0.3, pool(1)), (0.3, pool(2)), (0.4, pool(3))])
    values = torch.cat([mix.draw(5).inputs[:, 0, 0, 0] for _ in range(2000)])
    for value, share in ((1, 0.3), (2, 0.3), (3, 0.4)):
        assert float((values == value).float().mean()) == pytest.approx(share, abs=0.01)


def test_the_first_task_is_all_new() -> None:
    assert new_data_ratio(0.5, [10]) == 1.0
    assert new_data_ratio("auto", [10]) == 1.0


def test_shares_of_the_past_follow_what_each_task_brought() -> None:
    assert mix_shares(0.5, [10, 10, 10]) == pytest.approx([0.25, 0.25, 0.5])
    assert mix_shares(0.4, [2, 6, 1]) == pytest.approx([0.15, 0.45, 0.4])
    assert mix_shares(0.5, [4]) == [1.0]
    assert mix_shares("auto", [10, 10, 10]) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert mix_shares("auto", [2, 2, 6]) == pytest.approx([0.2, 0.2, 0.6])


@given(
    ratio=st.one_of(st.just("auto"), st.floats(0.01, 1)), brought=st.lists(st.integers(1, 50), min_size=1, max_size=9)
)
def test_shares_sum_to_one(ratio: float, brought: list[int]) -> None:
    assert sum(mix_shares(ratio, brought)) == pytest.approx(1)


def test_shifts_move_whole_images_by_at_most_so_many_pixels() -> None:
    torch.manual_seed(0)
    image = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8)
    seen = set()
    for moved in shift(image.expand(300, -1, -1, -1), 2):
        dy, dx = next(
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(
                moved, image[0, :, (torch.arange(8) + dy).clamp(0, 7)][:, :, (torch.arange(8) + dx).clamp(0, 7)]
            )
        )
        seen.add((dy, dx))
    assert len(seen) == 25


def test_no_shift_is_no_change() -> None:
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(shift(images, 0), images)
