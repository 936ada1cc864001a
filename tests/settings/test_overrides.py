"""Settings, their changes, and what is said when they are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scholars.errors import InputError
from scholars.settings import DEFAULT_GENERATOR, Settings, SolverSettings, VAESettings
from scholars.settings.overrides import build, changed, parse_changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("replay.rato=1", r"unknown key 'replay\.rato'.*'ratio'"),
        ("replay=1", "replay: .*got 1"),
        ("generator.stepz=1", r"unknown key 'generator\.stepz'.*'steps'"),
        ("generator.flow.steps=1", r"unknown key 'generator\.flow'"),
        ("solver.steps.more=1", r"solver\.steps: .*nput should be a valid integer"),
        ("novalue", "KEY=VALUE"),
        ("solver={steps: 3, width: 8, steps: 4}", "not a readable value"),
        ("=3", "KEY=VALUE"),
        ("solver.steps=[", "not a readable value"),
    ],
)
def test_what_is_wrong_in_a_change_is_named(change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Settings, {}, parse_changes([change]), where="--set")


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        (["replay.dreams=fresh", "replay.filter=confidence"], ["replay.dreams", "replay.filter"]),
        (["replay.dreams=fresh", "replay.balance=classes"], ["replay.dreams", "replay.balance"]),
        (["solver.start=fresh", "solver.warm_rate=0.001"], ["solver.warm_rate", "solver.start"]),
        (["replay.labels=hard", "replay.temperature=2"], ["replay.labels", "replay.temperature"]),
        (["generator.kind=flow", "generator.guidance=2", "generator.dropout=0"], ["guidance", "dropout"]),
        (["replay.bank=0"], ["replay.bank"]),
        (["audit.dreams=3"], ["audit.dreams=3"]),
        (["replay.ratio=1.5"], ["replay.ratio"]),
    ],
)
def test_contradictions_name_both_keys(changes: list[str], keys: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        build(Settings, {}, parse_changes(changes), where="--set")
    assert all(key in str(refused.value) for key in keys)
    assert len(str(refused.value)) < 400


def test_settings_are_changed_in_python_as_on_the_command_line() -> None:
    before = Settings()
    after = changed(before, {"generator.steps": 7, "solver": {"width": 8}, "generator.kind": "wgan-gp"})
    assert (after.trained_generator.steps, after.image_solver.width, after.image_solver.steps) == (
        7,
        8,
        SolverSettings().steps,
    )
    assert before == Settings()
    assert changed(after, {}) == after
    with pytest.raises(InputError, match=r"settings: solver\.steps: .*got 0"):
        changed(before, {"solver.steps": 0})
    with pytest.raises(InputError, match=r"cannot set 'solver\.batch\.more': 'batch' is 64"):
        changed(before, {"solver.batch.more": 3})
    with pytest.raises(InputError, match=r"unknown key 'solver\.step'\. .*Did you mean 'steps'"):
        changed(before, {"solver.step": 3})


@pytest.mark.parametrize("order", [1, -1])
def test_another_kind_starts_from_its_own_defaults(order: int) -> None:
    """But for what all kinds share, and for what is set with it, in whatever order."""
    before = build(Settings, {}, parse_changes(["generator.rate=0.5", "generator.start=fresh"]), where="test")
    changes = ["generator.kind=vae", "generator.latent=9"][::order]
    after = build(Settings, before.model_dump(), parse_changes(changes), where="test").generator
    assert after == VAESettings(latent=9, start="fresh")
    kept = build(Settings, before.model_dump(), {"generator.kind": before.generator.kind}, where="test")
    assert kept == before
    # A section that does not say its kind has the default one.
    unnamed = build(Settings, {"generator": {"steps": 5}}, {"generator.kind": DEFAULT_GENERATOR}, where="test")
    assert unnamed.trained_generator.steps == 5


@given(steps=st.integers(1, 10_000_000), ratio=st.floats(0.001, 1), labels=st.sampled_from(["soft", "hard"]))
def test_changes_arrive(steps: int, ratio: float, labels: str) -> None:
    changes = parse_changes([f"solver.steps={steps}", f"replay.ratio={ratio!r}", f"replay.labels={labels}"])
    settings = build(Settings, {}, changes, where="--set")
    assert (settings.image_solver.steps, settings.replay.ratio, settings.replay.labels) == (steps, ratio, labels)
