"""What a batch is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import same_weights, tiny_with, with_changes
from torch import Tensor

from scholars.learning.algorithm import learn
from scholars.learning.mixture import Mixture
from scholars.learning.networks import train_solver
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.settings.base import planned
from scholars.settings.overrides import build
from scholars.solvers import Solver
from scholars.tasks.task import Task
from scholars.training.batches import Batch, BatchSource, Pool


def pool(value: int) -> Pool:
    """Images of one grey."""
    return Pool(torch.full((5, 1, 4, 4), value, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64), 2)


def test_a_batch_is_mixed_as_the_equations_say() -> None:
    """r new and 1 - r past, for either network its own r."""

    def brighter(source: BatchSource) -> BatchSource:
        return Recoloured(source, 10)

    def darker(source: BatchSource) -> BatchSource:
        return Recoloured(source, 20)

    mix = Mixture(
        ratio=0.25,
        generator_ratio=0.4,
        new=pool(1),
        replayed=pool(2),
        augment=brighter,
        augment_replayed=darker,
    )

    def counted(source: BatchSource) -> dict[int, int]:
        greys = source.draw(800).inputs[:, 0, 0, 0]
        return {grey: int((greys == grey).sum()) for grey in sorted(set(greys.tolist()))}

    assert counted(mix.for_solver()) == {11: 200, 22: 600}
    assert counted(mix.for_generator()) == {1: 320, 2: 480}
    alone = replace(mix, replayed=None)
    assert counted(alone.for_solver()) == {11: 800}
    assert counted(alone.for_generator()) == {1: 800}


@dataclass(frozen=True)
class Recoloured:
    source: BatchSource
    by: int

    def draw(self, count: int) -> Batch:
        batch = self.source.draw(count)
        return batch._replace(inputs=batch.inputs + self.by)


def solver_batch(
    monkeypatch: pytest.MonkeyPatch, task: Task, previous: Scholar, settings: Settings, past: Any = "dreams"
) -> Batch:
    """Return the first 200 images that the solver would be trained on; it is hardly trained."""
    batches: list[Batch] = []

    def spying(source: BatchSource, **named: Any) -> Solver:
        batches.append(source.draw(200))
        return train_solver(source, **named)

    monkeypatch.setattr("scholars.learning.algorithm.train_solver", spying)
    learn(task, previous, settings=with_changes(settings, solver__steps=1, ood__dreams=0), past=past)
    return batches[0]


def test_the_share_that_is_set_is_new(monkeypatch: pytest.MonkeyPatch, high: Task, one: Scholar) -> None:
    batch = solver_batch(monkeypatch, high, one, with_changes(one.settings, replay__ratio=0.2))
    assert int((batch.conditions >= len(one.conditions)).sum()) == 40


def uneven(task: Task) -> Task:
    """All training images of the first class, and four of each of the others."""
    rows = [np.flatnonzero(task.train.labels == label)[: None if label == 0 else 4] for label in range(5)]
    return replace(task, train=task.train[np.sort(np.concatenate(rows))])


@pytest.mark.parametrize("past", ["dreams", "current data", "nothing", "stored"])
def test_every_class_equally_often_of_real_images(
    monkeypatch: pytest.MonkeyPatch, low: Task, high: Task, one: Scholar, past: str
) -> None:
    """Whatever is replayed, the real images of new and stored tasks are drawn by class; by default by image."""
    task, stored = uneven(high), {"nothing": [], "stored": [uneven(low)]}.get(past, past)

    def counts(balance: str) -> list[int]:
        settings = with_changes(one.settings, replay__balance=balance, replay__ratio=0.5)
        batch = solver_batch(monkeypatch, task, one, settings, stored)
        return torch.bincount(batch.labels[batch.targets.amax(1) == 1], minlength=10).tolist()

    for first in (0, 5) if past == "stored" else (5,):
        even, by_image = counts("classes")[first : first + 5], counts("none")[first : first + 5]
        assert min(even) > max(even) / 4, even
        assert sum(by_image[1:]) < by_image[0] / 2, by_image


def test_without_forgetting_the_old_is_what_the_previous_solver_sees_in_the_new(
    monkeypatch: pytest.MonkeyPatch, high: Task, one: Scholar
) -> None:
    still = with_changes(one.settings, solver__shift=0)
    batch = solver_batch(monkeypatch, high, one, still, past="current data")
    new, old = batch.targets[:100], batch.targets[100:]
    assert new[:, 5:].sum() == 100
    assert torch.allclose(old[:, :5], one.probabilities(batch.inputs[100:]), atol=1e-6)
    assert old[:, 5:].sum() == 0


def test_a_ratio_of_one_leaves_no_part_to_the_past(low: Task, high: Task, one: Scholar, hasty: Settings) -> None:
    alone = build(Settings, hasty.model_dump(), {"replay.ratio": 1.0}, where="tests")
    assert same_weights(learn(high, one, settings=alone, past=[low]), learn(high, one, settings=alone, past=[]))


def test_smoothed_labels_are_of_real_images_alone(low: Task, high: Task, tiny: Settings) -> None:
    """With half of a label to all five a solver learns to be sure by 0.6; dreams, called by one name, stay sure."""
    smooth = with_changes(tiny, solver__smoothing=0.5)
    scholar = learn(low, settings=smooth, past=[])
    sure = scholar.probabilities(torch.from_numpy(low.resized(1, 16).train.images)).amax(1)
    assert 0.5 < float(sure.mean()) < 0.75
    dreaming = learn(low, settings=tiny)
    again = learn(high, dreaming, settings=with_changes(tiny, solver__smoothing=0.5, replay__labels="hard"))
    images, _ = dreaming.dream(200)
    assert float(again.probabilities(images).amax(1).mean()) > float(sure.mean())


def test_noise_and_negatives_are_of_real_images_and_dreams_alike(
    monkeypatch: pytest.MonkeyPatch, low: Task, high: Task, tiny: Settings
) -> None:
    """Were they of either alone, they would be what tells them apart."""
    # Of a few steps, dreams of this kind are smooth, and dark as the digits' ground.
    one = learn(low, settings=tiny_with(tiny, "vae", solver__steps=1))

    def shown(**changes: object) -> tuple[Tensor, Tensor]:
        """Real images and dreams, as the solver sees them."""
        batch = solver_batch(monkeypatch, high, one, with_changes(one.settings, **changes))
        dreamt = batch.conditions < len(one.conditions)
        return batch.inputs[~dreamt].float(), batch.inputs[dreamt].float()

    def rough(images: Tensor) -> float:
        return float(images.diff(dim=3).abs().mean())

    def bright(images: Tensor) -> float:
        return float((images.mean((1, 2, 3)) > 127.5).float().mean())

    for before, with_noise, inverted in zip(shown(), shown(solver__noise=200), shown(solver__invert=True), strict=True):
        assert rough(with_noise) > rough(before) + 20
        assert bright(before) < 0.1
        assert 0.3 < bright(inverted) < 0.7


def test_the_dreams_that_are_drawn_are_counted(one: Scholar, high: Task) -> None:
    few = tiny_with(one.settings, "r3gan", solver__steps=1, ood__dreams=0, replay__bank=120)
    assert learn(high, one, settings=few).lineage[-1].dreamt == 120
    assert learn(high, one, past=[]).lineage[-1].dreamt == 0


def test_a_generator_sees_more_of_new_classes_than_their_share(one: Scholar, high: Task) -> None:
    """Counted by what stands for the past in either network's batches."""

    seven = high.select_classes(("7",))

    def past(task: Task, r: float, **changes: object) -> float:
        """The past's share of the generator's batches; ``r`` is what is new of the solver's."""
        settings = tiny_with(one.settings, "vae", solver__steps=1, ood__dreams=0, replay__dreams="fresh", **changes)
        s, g = settings.image_solver, settings.trained_generator
        dreamt = learn(task, one, settings=settings).lineage[-1].dreamt
        return (dreamt - (1 - r) * s.batch * planned(s.steps)) / (g.batch * planned(g.steps))

    r = 1 / (len(one.classes) + 1)
    assert past(seven, r) == pytest.approx(0.5, abs=0.01)
    assert past(seven, r, replay__generator_ratio=0.25) == pytest.approx(0.75, abs=0.01)
    known = replace(seven, classes=("2",))
    assert past(known, r) == pytest.approx(1 - r, abs=0.01)
