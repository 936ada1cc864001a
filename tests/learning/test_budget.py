"""What follows from the data, where settings leave it open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import TINY
from hypothesis import given
from hypothesis import strategies as st

from scholars.learning.algorithm import learn
from scholars.learning.arguments import LearnArgs
from scholars.learning.budget import Facts, facts_of, open_settings, plan_settings, planned_settings
from scholars.learning.inheritance import inherit
from scholars.scholar import Scholar
from scholars.settings import Settings, SolverSettings
from scholars.settings.overrides import build, changed
from scholars.tasks.task import Task

GREY = build(Settings, {}, {"image.size": 28, "image.channels": 1}, "tests")
FIRST = Facts(images=12_000)
NEW = Facts(images=12_000, conditions=2, ratio=0.5, generator_ratio=0.5, brings_classes=True, tasks=2)
KNOWN = Facts(images=12_000, conditions=10, ratio=0.5, generator_ratio=0.5, tasks=3)


def test_by_hand() -> None:
    """9 sqrt(12,000) = 986 steps; 2.5 * 12,000 is over the cap; (32 * 986 + 32 * 1,500) / 4 dreams."""
    plan = plan_settings(GREY, NEW)
    assert plan.image_solver.steps == 986
    assert plan.trained_generator.steps == 1500
    assert plan.replay.bank == (32 * 986 + 32 * 1500) / 4
    assert (plan.image_solver.noise, plan.image_solver.warm_rate) == (80, 0.001)
    few = plan_settings(GREY, Facts(images=50))
    assert (few.trained_generator.steps, few.image_solver.steps) == (125, 60)
    # Few images are learned in as many steps whatever their size.
    assert plan_settings(changed(GREY, {"image.size": 56}), Facts(images=50)).trained_generator.steps == 125
    # Four numbers for each of them: 4^(1/2) times the steps.
    larger = plan_settings(changed(GREY, {"image.size": 56}), NEW)
    assert larger.trained_generator.steps == 1500 * 2 == 3000
    assert larger.image_solver.steps == round(9 * 12_000**0.5 * 2) == 1972


def test_new_classes_get_noise_and_known_ones_a_rate_that_falls() -> None:
    first, known = (plan_settings(GREY, facts).image_solver for facts in (FIRST, KNOWN))
    assert (first.noise, first.warm_rate) == (0, None)
    assert known.noise == 0
    assert known.warm_rate == pytest.approx(0.004 / 3)


def test_what_is_set_stays() -> None:
    chosen = {"solver.steps": 7, "solver.noise": 3.0, "generator.steps": 5, "replay.bank": 11, "solver.invert": True}
    plan = plan_settings(changed(Settings(), chosen), NEW)
    assert open_settings(Settings(), plan).items() >= chosen.items()
    assert not set(open_settings(changed(Settings(), chosen), plan)) & set(chosen)


@given(st.integers(2, 10**6), st.sampled_from(["flow", "r3gan", "wgan-gp", "wgan", "gan", "vae"]))
def test_a_larger_budget_trains_longer(images: int, kind: str) -> None:
    small, normal, large = (
        plan_settings(build(Settings, {"budget": budget}, {"generator.kind": kind}, "tests"), Facts(images=images))
        for budget in ("small", "normal", "large")
    )
    for one, other, times in ((small, normal, 4), (normal, large, 3)):
        assert other.image_solver.steps == pytest.approx(times * (one.image_solver.steps or 0), abs=times)
        assert other.trained_generator.steps == pytest.approx(times * (one.trained_generator.steps or 0), abs=times)


def test_pixels_without_neighbours_are_not_moved() -> None:
    plan = plan_settings(Settings(solver=SolverSettings(kind="mlp")), FIRST)
    assert (plan.image_solver.shift, plan.image_solver.warp) == (0, 0)


def test_a_bank_holds_a_dream_of_every_condition() -> None:
    facts = Facts(images=4, conditions=900, ratio=0.9, generator_ratio=0.9, tasks=5)
    assert plan_settings(Settings(), facts).replay.bank == 900


def test_the_record_says_what_followed(low: Task, high: Task) -> None:
    """The scholar's settings leave open what was left open: the next task is planned by its own data."""
    open_ones = {"solver.steps": None, "solver.noise": None, "replay.bank": None, "budget": 0.05}
    settings = build(Settings, TINY, open_ones, "tests")
    one = learn(low, settings=settings)
    steps = round(0.05 * 9 * len(low.train) ** 0.5)
    assert one.lineage[0].plan["solver.steps"] == steps
    assert "generator.steps" not in one.lineage[0].plan
    assert one.settings.image_solver.steps is None
    assert planned_settings(one).image_solver.steps == steps
    two = learn(high.select_classes(("7", "8")), one)
    plan = plan_settings(settings, facts_of(LearnArgs(high.select_classes(("7", "8")), one, "dreams", settings, 0)))
    assert two.lineage[1].plan == open_settings(settings, plan)
    assert two.lineage[1].plan["solver.noise"] == 80
    assert two.lineage[1].dreamt == two.lineage[1].plan["replay.bank"]


def test_facts(one: Scholar, high: Task) -> None:
    facts = facts_of(LearnArgs(high, one, "dreams", one.settings, 0))
    known = len(one.classes)
    assert facts == Facts(
        images=len(high.train),
        conditions=known,
        ratio=len(high.classes) / (known + len(high.classes)),
        generator_ratio=max(0.5, len(high.classes) / (known + len(high.classes))),
        brings_classes=True,
        tasks=2,
        negatives=False,
    )


def test_a_past_that_was_not_counted_is_learned_as_one_of_many_images(one: Scholar) -> None:
    """Otherwise what is left after forgetting would be taught in one step."""
    settings = changed(one.settings, {"solver.steps": None, "generator.steps": None})
    uncounted = replace(one, lineage=(one.lineage[0].model_copy(update={"train_counts": ()}),))
    known, unknown = (inherit([scholar], lambda name: None if name == "3" else name) for scholar in (one, uncounted))
    assert known.images < one.lineage[0].train_count
    assert unknown.images == 0
    plans = [
        plan_settings(settings, facts_of(LearnArgs(None, None, "dreams", settings, 0, inherited)))
        for inherited in (known, unknown)
    ]
    assert plans[0].image_solver.steps == round(9 * known.images**0.5)
    # Of a flow 0.4 * 1,500.
    assert (plans[1].image_solver.steps, plans[1].trained_generator.steps) == (1150, 600)
