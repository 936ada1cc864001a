"""Dreams of the earlier tasks: which are kept, and how they are labelled."""

from __future__ import annotations

import math

import pytest
import torch

from scholars.errors import InputError, Interrupted
from scholars.learning.dreams import (
    CurrentDataReplay,
    dream_bank,
    filter_dreams,
    relabel,
    replay_source,
    with_temperature,
)
from scholars.learning.inheritance import inherit
from scholars.learning.networks import distillation
from scholars.scholar import Scholar
from scholars.settings import ReplaySettings
from scholars.training.batches import Augmented, Batch, BatchSource, Mix, Pool
from scholars.training.loop import Session


def policy(**changes: object) -> ReplaySettings:
    return ReplaySettings.model_validate({"bank": 600, **changes})


def replayed(one: Scholar, policy: ReplaySettings) -> BatchSource:
    """What is replayed of `one`, which knows five classes, to a scholar that knows seven."""
    settings = one.settings.model_copy(update={"replay": policy})
    return replay_source(inherit([one], new_classes=["new", "other"]), settings, seed=0, session=Session())


def test_the_bank_is_labelled_by_the_solver_and_follows_the_seed(one: Scholar) -> None:
    bank = dream_bank(one, policy(), seed=0)
    assert len(bank.inputs) == 600
    whole = bank.inputs[: 2 * one.chunk_size]  # in batches of another size rounding differs
    assert torch.allclose(bank.targets[: len(whole)], one.probabilities(whole))
    assert torch.equal(bank.inputs, dream_bank(one, policy(), seed=0).inputs)
    assert not torch.equal(bank.inputs, dream_bank(one, policy(), seed=1).inputs)


def test_hard_labels_are_the_most_probable_class(one: Scholar) -> None:
    soft, hard = dream_bank(one, policy(), seed=0), dream_bank(one, policy(labels="hard"), seed=0)
    assert torch.equal(soft.inputs, hard.inputs)
    assert torch.equal(hard.targets.sum(1), torch.ones(600))
    assert torch.equal(hard.targets.argmax(1), soft.targets.argmax(1))
    assert set(hard.targets.flatten().tolist()) == {0.0, 1.0}


def test_a_temperature_softens_or_sharpens() -> None:
    """p = (0.8, 0.2) is softmax(log 4, 0): at T = 2 softmax(log 2, 0), at T = 1/2 softmax(log 16, 0)."""
    p = torch.tensor([[0.8, 0.2]])
    assert torch.allclose(with_temperature(p, 2.0), torch.tensor([[2 / 3, 1 / 3]]))
    assert torch.allclose(with_temperature(p, 0.5), torch.tensor([[16 / 17, 1 / 17]]))
    assert torch.allclose(with_temperature(torch.tensor([[1.0, 0.0]]), 4.0), torch.tensor([[1.0, 0.0]]), atol=1e-6)
    assert with_temperature(torch.tensor([[1.0, 1e-20]]), 2.0)[0, 1].item() == pytest.approx(1e-10)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_labels_of_any_temperature_are_met_by_a_solver_that_says_the_same(temperature: float) -> None:
    """Learned at another temperature than theirs, labels would grow softer, or sharper, from task to task."""
    p = torch.tensor([[0.7, 0.2, 0.1], [0.05, 0.9, 0.05]])
    logits = torch.zeros(2, 3, requires_grad=True)
    descent = torch.optim.Adam([logits], lr=0.05)
    for _ in range(600):
        descent.zero_grad()
        torch.autograd.backward(distillation(logits, with_temperature(p, temperature), torch.full((2,), temperature)))
        descent.step()
    assert torch.allclose(logits.softmax(1), p, atol=0.01)


def test_the_distillation_loss_by_hand() -> None:
    """T^2 CE(softmax((log 4, 0) / 2), (2/3, 1/3)) = 4 (log 3 - 2/3 log 2), and beside it -log 0.8, at T = 1."""
    logits = torch.tensor([[math.log(4), 0.0], [math.log(4), 0.0]])
    targets = torch.tensor([[2 / 3, 1 / 3], [1.0, 0.0]])
    loss = distillation(logits, targets, torch.tensor([2.0, 1.0])).item()
    assert loss == pytest.approx((4 * (math.log(3) - 2 / 3 * math.log(2)) - math.log(0.8)) / 2)


@pytest.mark.parametrize("dreams", ["bank", "fresh"])
def test_dreams_have_the_temperature_that_is_set(one: Scholar, dreams: str) -> None:
    source = replayed(one, policy(dreams=dreams, temperature=3.0))
    labelled = Pool(torch.zeros(2, 1, 16, 16, dtype=torch.uint8), torch.tensor([5, 6]), 7)
    drawn = Augmented(Mix([(0.5, labelled), (0.5, source)]), noise=10).draw(8)
    assert drawn.temperatures.tolist() == [1.0] * 4 + [3.0] * 4
    reviewed = CurrentDataReplay(one, labelled, policy(temperature=3.0), [*one.classes, "new", "other"]).draw(2)
    assert reviewed.temperatures.tolist() == [3.0, 3.0]
    assert torch.allclose(reviewed.targets[:, :5], with_temperature(one.probabilities(reviewed.inputs), 3.0))


def test_filters_keep_what_they_say(one: Scholar) -> None:
    targets = torch.tensor([[0.9, 0.1, 0, 0, 0], [0.4, 0.3, 0.3, 0, 0], [0.1, 0.9, 0, 0, 0]])
    dreamt = Batch(torch.zeros(3, 1, 16, 16, dtype=torch.uint8), targets, torch.tensor([0, 0, 0]), torch.ones(3))
    sure = filter_dreams(one, dreamt, policy(filter="confidence", confidence=0.5))
    assert sure.targets.tolist() == targets[[0, 2]].tolist()
    agreed = filter_dreams(one, dreamt, policy(filter="agreement"))
    assert agreed.targets.tolist() == targets[[0, 1]].tolist()
    assert filter_dreams(one, dreamt, policy()) is dreamt


def test_a_filtered_bank_is_full_if_patience_suffices(one: Scholar) -> None:
    sure = one.dream(600)[1].amax(1).median().item()
    bank = dream_bank(one, policy(filter="confidence", confidence=sure), seed=0)
    assert len(bank.inputs) == 600
    assert bank.targets.amax(1).min().item() >= sure
    with pytest.raises(InputError, match=r"keeps none of 6,?000 dreams.*replay\.confidence"):
        dream_bank(one, policy(filter="confidence", confidence=0.9999999), seed=0)


def test_a_dream_counts_as_its_task_and_the_class_that_it_shows(two: Scholar) -> None:
    """`two` knows 0..4 from its first task (conditions 0..4) and 5..9 from its second (5..9)."""
    targets = torch.eye(10)[[3, 3, 7]]
    dreamt = Batch(torch.zeros(3, 1, 16, 16, dtype=torch.uint8), targets, torch.tensor([0, 9, 5]), torch.ones(3))
    # Asked for task 0: its 3. Asked for task 1, which has no 3: the 3 of the task that has. Asked for a 5, seen a 7.
    assert relabel(two, dreamt, policy()).conditions.tolist() == [3, 3, 7]


def test_fresh_dreams_differ_from_batch_to_batch_and_repeat_with_the_seed(one: Scholar) -> None:
    source = replayed(one, policy(dreams="fresh"))
    torch.manual_seed(0)
    first, second = source.draw(8), source.draw(8)
    assert first.targets.shape == (8, 7)
    assert first.targets[:, 5:].sum() == 0
    assert not torch.equal(first.inputs, second.inputs)
    torch.manual_seed(0)
    assert torch.equal(source.draw(8).inputs, first.inputs)


def test_an_interrupted_bank_stops(one: Scholar) -> None:
    with pytest.raises(Interrupted, match="dreaming"):
        dream_bank(one, policy(), 0, Session(stopping=lambda: True))
