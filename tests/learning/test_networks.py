"""How one network starts, and at which rate it goes on."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest
import torch
from conftest import tiny_with, with_changes

from scholars.compute.device import open_fabric
from scholars.errors import InputError, Interrupted
from scholars.generators import Teacher
from scholars.generators.flow import Flow
from scholars.learning.algorithm import learn
from scholars.learning.networks import train_solver
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.tasks.task import Task
from scholars.training.batches import Pool
from scholars.training.loop import Descent, Session, Trainee


def test_the_more_is_known_the_gentler_a_solver_goes_on(
    monkeypatch: pytest.MonkeyPatch, low: Task, two: Scholar, hasty: Settings
) -> None:
    """By the rule: with known classes 0.004 divided by the generation, at most the rate; afresh there is the rate."""
    rates: list[float] = []

    def noting(*arguments: Any, rate: float, **named: Any) -> Descent:
        rates.append(rate)
        return Descent(*arguments, rate=1e-4, **named)

    monkeypatch.setattr("scholars.learning.networks.Descent", noting)
    by_rule = {"solver__steps": None, "budget": 0.02, "generator__steps": 1}
    steps = round(0.02 * 9 * len(low.train) ** 0.5)
    learn(low, two, settings=with_changes(hasty, solver__warm_rate=0.002))
    for highest in (0.1, 0.005):
        learn(low, two, settings=with_changes(hasty, **by_rule, solver__rate=highest))
    learn(low, None, settings=with_changes(hasty, **by_rule, solver__rate=0.1))
    assert rates == [0.002, pytest.approx(0.004 / 3 * (600 / steps) ** 0.5), 0.005, 0.1]


def test_a_warm_start_has_its_own_rate(one: Scholar, high: Task) -> None:
    """At a rate of nearly nothing the previous weights stay."""
    settings = with_changes(one.settings, solver__warm_rate=1e-9, solver__steps=9, generator__steps=1, ood__dreams=0)
    two = learn(high, one, settings=settings)
    for name, value in one.solver.named_parameters():
        learned = dict(two.solver.named_parameters())[name]
        torch.testing.assert_close(learned[: len(value)], value, rtol=0, atol=1e-5)


def test_a_critic_goes_on_to_classify_what_it_knew_and_what_is_new(low: Task, high: Task, hasty: Settings) -> None:
    """At rates of nearly nothing its rows of the known classes stay; those of new classes come after them."""
    classified = tiny_with(hasty, "r3gan", generator__classify=1, generator__steps=1)
    gentle = with_changes(classified, generator__rate=1e-9, generator__critic_rate=1e-9)
    one = learn(low, settings=classified)
    two = learn(high, one, settings=gentle)
    rows = [
        dict(scholar.generator.named_parameters())["critic.classifier.weight"]
        for scholar in (one, two)
        if scholar.generator
    ]
    assert [len(each) for each in rows] == [5, 10]
    torch.testing.assert_close(rows[1][:5], rows[0], rtol=0, atol=1e-6)
    with pytest.raises(InputError, match=r"generator\.start=fresh"):
        learn(high, one, settings=with_changes(classified, generator__classify=0))


def test_a_generator_may_work_at_its_own_size(high: Task, low: Task, tiny: Settings) -> None:
    settings = tiny_with(tiny, "wgan-gp", generator__size=12, solver__steps=2)
    first = learn(low, settings=settings)
    assert first.dream(3)[0].shape == (3, 1, 16, 16)
    assert first.generator is not None
    assert first.generator.sample(torch.zeros(3, dtype=torch.int64)).shape == (3, 1, 12, 12)
    assert learn(high, first, settings=with_changes(settings, solver__steps=1)).generation == 2


def test_a_generator_whose_training_was_interrupted_keeps_no_teacher(
    monkeypatch: pytest.MonkeyPatch, one: Scholar, high: Task
) -> None:
    """Else each would keep the one before, and memory the whole lineage."""
    trained: list[Flow] = []
    trainee, previous = Flow.trainee, copy.deepcopy(one)
    assert previous.generator is not None
    known = weakref.ref(previous.generator)

    def noting(flow: Flow, fabric: Any, teacher: Teacher) -> Trainee:
        assert teacher.generator is known()
        trained.append(flow)
        return trainee(flow, fabric, teacher)

    monkeypatch.setattr(Flow, "trainee", noting)
    asked = iter(range(100))
    with pytest.raises(Interrupted, match="'generator'"):
        distilled = with_changes(one.settings, generator__distil=True)
        learn(high, previous, settings=distilled, session=Session(stopping=lambda: next(asked) >= 6))
    del previous
    gc.collect()
    assert trained
    assert known() is None


def test_a_warm_start_with_outputs_elsewhere_gives_the_same_answers_there(one: Scholar) -> None:
    """`one` knows five classes; in the new solver they are outputs 6, 0, 3, 1 and 4 of seven."""
    places = [6, 0, 3, 1, 4]
    images = torch.randint(0, 256, (40, 1, 16, 16), dtype=torch.uint8)
    pool = Pool(images, torch.arange(40) % 7, 7)
    # A step of next to nothing: what is left is where it started.
    still = with_changes(one.settings, solver__steps=1, solver__warm_rate=1e-9, solver__weight_decay=0.0)
    solver = train_solver(
        pool, previous=one, outputs=places, classes=7, settings=still, seed=0, fabric=open_fabric(still.compute)
    )
    now, then = solver.state_dict(), one.solver.state_dict()
    of_classes = [name for name, value in then.items() if value.shape[:1] == (5,) and now[name].shape[:1] == (7,)]
    assert of_classes
    for name in of_classes:
        assert torch.allclose(now[name][places], then[name], atol=1e-6)
        fresh = [2, 5]
        assert not torch.allclose(now[name][fresh], then[name][:2], atol=1e-6)
