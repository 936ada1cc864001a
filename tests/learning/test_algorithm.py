"""How a scholar learns: what it trains on, what it keeps, what it refuses; and that forgetting is cured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import same_weights, tiny_with, with_changes

from scholars.errors import InputError, Interrupted
from scholars.evaluation.accuracy import accuracy
from scholars.learning.algorithm import learn
from scholars.learning.arguments import union_of_classes
from scholars.learning.dreams import dream_bank
from scholars.scholar import Scholar
from scholars.settings import GENERATORS, ReplaySettings, Settings
from scholars.settings.overrides import build, parse_changes
from scholars.tasks.images import Images
from scholars.tasks.task import Task
from scholars.training.loop import Session


def test_known_names_share_their_output_and_new_ones_append() -> None:
    assert union_of_classes(("a", "b"), ("c", "b"), ("a", "d")) == ("a", "b", "c", "d")


def test_the_record_says_what_was_learned(two: Scholar, high: Task) -> None:
    assert [record.name for record in two.lineage] == ["digits", "digits"]
    assert two.lineage[1].classes == high.classes
    assert two.lineage[1].train_count == len(high.train)
    assert two.lineage[1].accuracy == accuracy(two, high)
    assert two.classes == tuple("0123456789")
    assert two.conditions == (*((0, c) for c in range(5)), *((1, c) for c in range(5, 10)))


def test_equal_seeds_agree_and_different_ones_do_not(high: Task, one: Scholar, two: Scholar) -> None:
    assert same_weights(learn(high, one), two)
    assert not same_weights(learn(high, one, seed=1), two)


@pytest.fixture(scope="module")
def hastily(high: Task, one: Scholar, hasty: Settings) -> Scholar:
    return learn(high, one, settings=hasty)


@pytest.mark.parametrize(
    "change",
    [
        "solver.rate=0.001",
        "solver.warm_rate=0.001",
        "solver.weight_decay=0.5",
        "solver.shift=0",
        "solver.warp=0.2",
        "solver.flip=true",
        "solver.invert=true",
        "solver.smoothing=0.2",
        "solver.noise=50",
        "solver.start=fresh",
        "generator.start=fresh",
        "generator.distil=true",
        "generator.dropout=0.5",
        "generator.ema=0.5",
        "replay.ratio=0.3",
        "replay.generator_ratio=0.8",
        "replay.labels=hard",
        "replay.temperature=2",
        "replay.dreams=fresh",
        "replay.bank=50",
        "replay.balance=classes",
        "replay.filter=agreement",
        "replay.shift=0",
        "replay.mixup=0.5",
        "ood.dreams=60",
    ],
)
def test_every_setting_changes_what_is_learned(
    change: str, high: Task, one: Scholar, hasty: Settings, hastily: Scholar
) -> None:
    other = build(Settings, hasty.model_dump(), parse_changes([change]), where="tests")
    assert not same_weights(learn(high, one, settings=other), hastily)


@pytest.mark.parametrize("change", ["ood.share=0.3", "generator.sampling_steps=3", "generator.warp=1"])
def test_every_setting_of_dreams_changes_the_detector_that_is_fitted_to_them(
    change: str, high: Task, one: Scholar, hasty: Settings
) -> None:
    dreaming = with_changes(hasty, ood__dreams=60)
    other = build(Settings, dreaming.model_dump(), parse_changes([change]), where="tests")
    assert not same_weights(learn(high, one, settings=other), learn(high, one, settings=dreaming))


def test_what_dreams_can_do_is_asked_of_the_generator_that_dreams(
    one: Scholar, low: Task, high: Task, hasty: Settings
) -> None:
    """Not of the one that is trained next: the previous scholar's is conditional, with five conditions."""

    def set_to(**changes: object) -> Settings:
        return tiny_with(hasty, "wgan-gp", **changes)

    with pytest.raises(InputError, match=r"replay\.bank=4 cannot hold a dream of each class.*these are 5"):
        learn(high, one, settings=set_to(replay__bank=4))
    unconditional = learn(high, one, settings=set_to(replay__filter="agreement"))
    for refused in (
        lambda: learn(low, unconditional),
        lambda: dream_bank(unconditional, unconditional.settings.replay, seed=0),
    ):
        with pytest.raises(InputError, match=r"replay\.filter=agreement.*generator\.kind=wgan-gp"):
            refused()
    # Nothing is asked for class by class of what came unconditionally.
    assert len(dream_bank(unconditional, ReplaySettings(bank=4), seed=0).inputs) == 4


def test_a_last_task_of_one_class_is_learned_with_others(low: Task, hasty: Settings) -> None:
    """As `joint` does it, from nothing: with the others there is a class to tell it from."""
    known, last = low.select_classes(("0", "1")), low.select_classes(("2",))
    joint = learn(last, None, settings=with_changes(hasty, solver__steps=150), past=[known])
    assert joint.classes == ("0", "1", "2")
    assert accuracy(joint, last) > 0.7
    with pytest.raises(InputError, match="has one class only"):
        learn(last, None, settings=hasty, past=[last])


def test_views_that_run_backwards_are_learned_and_named(low: Task, one: Scholar, hasty: Settings) -> None:
    """As ``images[:, ::-1]`` makes RGB of BGR; torch takes no such array."""

    def turned(data: Images) -> Images:
        return Images(data.images[::-1], data.labels[::-1])

    task = low.resized(1, 16)
    backwards = replace(task, train=turned(task.train), test=turned(task.test))
    assert accuracy(one, backwards) == accuracy(one, task)
    assert one.predict(task.test.images[::-1]) == one.predict(task.test.images)[::-1]
    assert learn(backwards, None, settings=with_changes(hasty, solver__steps=1), past=[]).generation == 1


def test_the_previous_scholar_is_left_as_it_was(high: Task, one: Scholar) -> None:
    before = {name: value.clone() for name, value in one.solver.state_dict().items()}
    learn(high, one)
    assert all(torch.equal(before[name], value) for name, value in one.solver.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "stop_at"),
    [
        ("flow", 3),
        ("flow", 40),
        ("flow", 61),
        ("flow", 70),
        ("wgan-gp", 63),
        ("wgan", 63),
        ("gan", 63),
        ("r3gan", 63),
        ("vae", 66),
    ],
)
def test_interrupted_learning_goes_on_bit_for_bit(
    low: Task, tiny: Settings, tmp_path: Path, kind: str, stop_at: int
) -> None:
    settings = tiny_with(tiny, kind)
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        learn(low, settings=settings, session=Session(tmp_path, stopping=lambda: next(asked) >= stop_at))
    resumed, whole = learn(low, settings=settings, session=Session(tmp_path)), learn(low, settings=settings)
    assert same_weights(resumed, whole)
    assert resumed.lineage[0].metrics == whole.lineage[0].metrics
    assert set(whole.lineage[0].metrics) == {"solver", "generator"}


def test_an_interrupted_second_task_goes_on_bit_for_bit(one: Scholar, high: Task, tmp_path: Path) -> None:
    """Stopped in the solver's training, when dreams of either task have been drawn."""
    settings = tiny_with(one.settings, "r3gan")
    asked = iter(range(10_000))
    with pytest.raises(Interrupted, match="'solver'"):
        learn(high, one, settings=settings, session=Session(tmp_path, stopping=lambda: next(asked) >= 50))
    whole = learn(high, one, settings=settings)
    assert same_weights(learn(high, one, settings=settings, session=Session(tmp_path)), whole)


def test_a_later_task_may_bring_one_class(one: Scholar, high: Task) -> None:
    three = learn(high.select_classes(("7",)), one)
    assert three.classes == ("0", "1", "2", "3", "4", "7")
    assert three.solver(torch.zeros(2, 1, 16, 16, dtype=torch.uint8)).shape == (2, 6)


def test_a_first_task_needs_two_classes(high: Task, tiny: Settings) -> None:
    with pytest.raises(InputError, match="needs two or more"):
        learn(high.select_classes(("7",)), settings=tiny)


def test_a_class_without_a_training_image_is_refused(low: Task, tiny: Settings) -> None:
    lacking = replace(low, train=low.train[np.flatnonzero(low.train.labels != 3)])
    with pytest.raises(InputError, match="class '3' has no training image"):
        learn(lacking, settings=tiny)


def test_what_does_not_fit_the_previous_scholar_is_refused(one: Scholar, high: Task) -> None:
    with pytest.raises(InputError, match="image shape is fixed"):
        learn(high, one, settings=with_changes(one.settings, image__size=20))
    for change in ({"solver__width": 4}, {"solver__width": 16}, {"solver__kind": "mlp"}):
        with pytest.raises(InputError, match=r"solver\.start=fresh"):
            learn(high, one, settings=with_changes(one.settings, **change))
    with pytest.raises(InputError, match=r"generator\.start=fresh"):
        learn(high, one, settings=with_changes(one.settings, generator__width=16))
    fresh = with_changes(one.settings, solver__width=4, solver__start="fresh")
    assert learn(high, one, settings=fresh).generation == 2


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 3)])
@pytest.mark.parametrize("kind", sorted(GENERATORS))
def test_the_usual_sizes_are_learned(
    low: Task, high: Task, tiny: Settings, kind: str, size: int, channels: int, tmp_path: Path
) -> None:
    """Every generator at every size: learned, saved, loaded, dreamt of, and learned on."""
    few = {"solver__steps": 2, "generator__steps": 2, "ood__dreams": 0, "replay__bank": 20}
    settings = tiny_with(tiny, kind, image__size=size, image__channels=channels, **few)
    learn(low, settings=settings).save(tmp_path / "s")
    two = learn(high, Scholar.load(tmp_path / "s"))
    assert two.dream(3)[0].shape == (3, channels, size, size)
    assert two.predict_proba(high.test.images[:2]).shape == (2, 10)


def test_colours_and_sizes_come_to_the_scholars_shape(one: Scholar) -> None:
    rng = np.random.default_rng(0)
    images = Images(rng.integers(0, 256, (40, 3, 21, 30), dtype=np.uint8), np.arange(40) % 2)
    other = learn(Task("colours", ("red", "4"), images, images), one)
    assert other.classes == ("0", "1", "2", "3", "4", "red")
    assert other.settings.image == one.settings.image


# As little training as it takes, at the digits' own size.
PERCEPTRON = {"kind": "mlp", "width": 64, "steps": 150, "batch": 64, "noise": 0, "smoothing": 0}
CONVOLUTIONS = {"kind": "cnn", "width": 8, "steps": 60, "batch": 64, "shift": 0, "noise": 80}


@pytest.mark.parametrize(
    ("generator", "solver"),
    [
        ({"kind": "flow", "net": "mlp", "width": 64, "steps": 250}, PERCEPTRON),
        ({"kind": "vae", "net": "mlp", "width": 64, "steps": 250, "batch": 64}, PERCEPTRON),
        ({"kind": "r3gan", "width": 16, "steps": 150}, CONVOLUTIONS),
        ({"kind": "gan", "width": 16, "steps": 300}, PERCEPTRON),
        ({"kind": "wgan-gp", "width": 16, "steps": 300}, PERCEPTRON),
    ],
    ids=lambda section: section["kind"],
)
def test_replay_cures_forgetting_without_old_data(
    low: Task, high: Task, generator: dict[str, object], solver: dict[str, object]
) -> None:
    """Naive training forgets the first digits, dreams of them keep them."""
    document = {
        "image": {"size": 8, "channels": 1},
        "solver": solver,
        "generator": generator,
        "replay": {"bank": 1000},
        "ood": {"dreams": 0},
    }
    first = learn(low, settings=build(Settings, document, None, where="tests"))
    naive, replayed = learn(high, first, past=[]), learn(high, first)
    assert accuracy(first, low) > 0.95
    assert accuracy(naive, low) < 0.2
    assert accuracy(replayed, low) > 0.75
    assert accuracy(replayed, high) > 0.8
    # And the next generation can go on: this one's dreams are still of the first digits, where it is asked for them.
    if replayed.settings.generator.conditional:
        dreamt = next(replayed.iter_dreams(250))
        asked = torch.tensor([output for _, output in replayed.conditions])[dreamt.conditions]
        assert (dreamt.labels == asked)[asked < 5].float().mean() > 0.7


def test_an_unknown_past_is_refused_and_not_taken_for_another(low: Task, high: Task, one: Scholar) -> None:
    unknown: Any = "new images"
    for previous in (None, one):
        with pytest.raises(InputError, match=r"past='new images' is not known\..*Known: dreams, current data"):
            learn(high if previous else low, previous, past=unknown)
