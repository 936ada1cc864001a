"""How a scholar learns: what it trains on, what it keeps, what it refuses; and that forgetting is cured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from scholars.config import build, parse_changes
from scholars.dreams import dream_bank
from scholars.errors import InputError, Interrupted
from scholars.evaluate import accuracy
from scholars.fitting import Descent, Session
from scholars.generator_settings import GeneratorSettings
from scholars.generators.base import Past
from scholars.learning import Mixture, learn, union
from scholars.replay import Batch, Pool, Source
from scholars.scholar import Scholar
from scholars.settings import ReplaySettings, Settings
from scholars.solvers import Solver
from scholars.tasks import Images, Task
from scholars.teaching import teach_solver


def changed(settings: Settings, **changes: object) -> Settings:
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    return build(Settings, settings.model_dump(), dotted, where="tests")


def pool(value: int) -> Pool:
    """Images of one grey."""
    return Pool(torch.full((5, 1, 4, 4), value, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64), 2)


def test_a_batch_is_mixed_as_the_equations_say() -> None:
    """r new and 1 - r past, for either network its own r; of the solver's new part a share is dreams of it."""

    def brighter(source: Source) -> Source:
        return Recoloured(source, 10)

    def darker(source: Source) -> Source:
        return Recoloured(source, 20)

    mix = Mixture(0.25, 0.4, pool(1), pool(2), brighter, darker, preview=(0.5, pool(3)))

    def counted(source: Source) -> dict[int, int]:
        greys = source.draw(800).images[:, 0, 0, 0]
        return {grey: int((greys == grey).sum()) for grey in sorted(set(greys.tolist()))}

    assert counted(mix.for_solver()) == {11: 100, 13: 100, 22: 600}
    assert counted(mix.for_generator()) == {1: 320, 2: 480}
    alone = replace(mix, past=None, preview=None)
    assert counted(alone.for_solver()) == {11: 800}
    assert counted(alone.for_generator()) == {1: 800}


@dataclass(frozen=True)
class Recoloured:
    source: Source
    by: int

    def draw(self, count: int) -> Batch:
        batch = self.source.draw(count)
        return batch._replace(images=batch.images + self.by)


def spied(monkeypatch: pytest.MonkeyPatch, task: Task, previous: Scholar, count: int, **how: Any) -> Batch:
    """The first ``count`` images that the solver would be taught with."""
    batches: list[Batch] = []

    def spying(source: Source, **named: Any) -> Solver:
        batches.append(source.draw(count))
        return teach_solver(source, **named)

    monkeypatch.setattr("scholars.learning.teach_solver", spying)
    learn(task, previous, **how)
    return batches[0]


def test_the_share_that_is_set_is_new(monkeypatch: pytest.MonkeyPatch, high: Task, one: Scholar) -> None:
    batch = spied(monkeypatch, high, one, 200, settings=changed(one.settings, replay__ratio=0.2))
    assert int((batch.conditions >= len(one.conditions)).sum()) == 40


def test_without_forgetting_the_old_is_what_the_previous_solver_sees_in_the_new(
    monkeypatch: pytest.MonkeyPatch, high: Task, one: Scholar
) -> None:
    still = changed(one.settings, solver__shift=0)
    batch = spied(monkeypatch, high, one, 200, past="new images", settings=still)
    new, old = batch.targets[:100], batch.targets[100:]
    assert new[:, 5:].sum() == 100
    assert torch.allclose(old[:, :5], one.probabilities(batch.images[100:]), atol=1e-6)
    assert old[:, 5:].sum() == 0


def same(a: Scholar, b: Scholar) -> bool:
    """To the last bit, in all that is kept."""
    left, right = a._weights(), b._weights()
    return left.keys() == right.keys() and all(
        left[part].keys() == right[part].keys()
        and all(torch.equal(value, right[part][name]) for name, value in left[part].items())
        for part in left
    )


def test_known_names_share_their_output_and_new_ones_append() -> None:
    assert union(("a", "b"), ("c", "b"), ("a", "d")) == ("a", "b", "c", "d")


def test_the_record_says_what_was_learned(two: Scholar, high: Task) -> None:
    assert [record.name for record in two.lineage] == ["digits", "digits"]
    assert two.lineage[1].classes == high.classes
    assert two.lineage[1].train_count == len(high.train)
    assert two.lineage[1].accuracy == accuracy(two, high)
    assert two.classes == tuple("0123456789")
    assert two.conditions == (*((0, c) for c in range(5)), *((1, c) for c in range(5, 10)))


def test_equal_seeds_agree_and_different_ones_do_not(high: Task, one: Scholar, two: Scholar) -> None:
    assert same(learn(high, one), two)
    assert not same(learn(high, one, seed=1), two)


def test_the_more_is_known_the_gentler_a_solver_goes_on(
    monkeypatch: pytest.MonkeyPatch, low: Task, two: Scholar, hasty: Settings
) -> None:
    """0.002 by the square root of two tasks; afresh there is nothing to be gentle with."""
    rates: list[float] = []

    def noting(*arguments: Any, rate: float, **named: Any) -> Descent:
        rates.append(rate)
        return Descent(*arguments, rate=rate, **named)

    monkeypatch.setattr("scholars.teaching.Descent", noting)
    learn(low, two, settings=changed(hasty, solver__warm_rate=0.002, solver__warm_decay=0.5))
    learn(low, two, settings=changed(hasty, solver__rate=0.004, solver__warm_decay=1))
    learn(low, None, settings=changed(hasty, solver__rate=0.004, solver__warm_decay=1))
    assert rates == [pytest.approx(0.002 / 2**0.5), pytest.approx(0.002), 0.004]


@pytest.fixture(scope="module")
def hasty(one: Scholar) -> Settings:
    """So few steps that only whether something changes can be told."""
    few = {"solver__steps": 4, "generator__flow__steps": 3, "replay__bank": 100, "familiarity__dreams": 0}
    return changed(one.settings, **few)


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
        "generator.flow.distil=true",
        "generator.flow.dropout=0.5",
        "generator.flow.ema=0.5",
        "replay.ratio=0.3",
        "replay.generator_ratio=0.8",
        "replay.labels=hard",
        "replay.temperature=2",
        "replay.dreams=fresh",
        "replay.bank=50",
        "replay.balance=classes",
        "replay.filter=agreement",
        "replay.preview=0.5",
        "replay.shift=0",
        "replay.mixup=0.5",
        "familiarity.dreams=60",
    ],
)
def test_no_setting_goes_unheeded(change: str, high: Task, one: Scholar, hasty: Settings, hastily: Scholar) -> None:
    other = build(Settings, hasty.model_dump(), parse_changes([change]), where="tests")
    assert not same(learn(high, one, settings=other), hastily)


@pytest.mark.parametrize(
    "change", ["familiarity.share=0.3", "generator.flow.sampling_steps=3", "generator.flow.warp=1"]
)
def test_no_setting_of_dreaming_goes_unheeded(change: str, high: Task, one: Scholar, hasty: Settings) -> None:
    """Told by what the new scholar's own dreams are, which its familiarity is of."""
    dreaming = changed(hasty, familiarity__dreams=60)
    other = build(Settings, dreaming.model_dump(), parse_changes([change]), where="tests")
    assert not same(learn(high, one, settings=other), learn(high, one, settings=dreaming))


def test_what_dreams_can_do_is_asked_of_the_generator_that_dreams(
    one: Scholar, low: Task, high: Task, hasty: Settings
) -> None:
    """And not of the one that will be taught: the previous scholar's is conditional, with five conditions."""

    def set_to(**changes: object) -> Settings:
        return changed(hasty, generator__kind="wgan-gp", **changes)

    with pytest.raises(InputError, match=r"replay\.bank=4 cannot hold a dream of each class.*these are 5"):
        learn(high, one, settings=set_to(replay__bank=4))
    told = learn(high, one, settings=set_to(replay__filter="agreement"))
    for refused in (lambda: learn(low, told), lambda: dream_bank(told, told.settings.replay, seed=0)):
        with pytest.raises(InputError, match=r"replay\.filter=agreement.*generator\.kind=wgan-gp"):
            refused()
    # Nothing is asked for class by class of what came unconditionally.
    assert len(dream_bank(told, ReplaySettings(bank=4), seed=0).images) == 4


def test_a_last_task_of_one_class_is_learned_with_others(low: Task, hasty: Settings) -> None:
    """As `joint` does it, from nothing: with the others there is a class to tell it from."""
    known, last = low.only(("0", "1")), low.only(("2",))
    joint = learn(last, None, settings=changed(hasty, solver__steps=150), past=[known])
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
    assert learn(backwards, None, settings=changed(hasty, solver__steps=1), past=[]).generation == 1


def test_a_ratio_of_one_leaves_no_part_to_the_past(low: Task, high: Task, one: Scholar, hasty: Settings) -> None:
    alone = build(Settings, hasty.model_dump(), {"replay.ratio": 1.0}, where="tests")
    assert same(learn(high, one, settings=alone, past=[low]), learn(high, one, settings=alone, past=[]))


def test_the_previous_scholar_is_left_as_it_was(high: Task, one: Scholar) -> None:
    before = {name: value.clone() for name, value in one.solver.state_dict().items()}
    learn(high, one)
    assert all(torch.equal(before[name], value) for name, value in one.solver.state_dict().items())


def test_smoothed_labels_are_of_real_images_alone(low: Task, high: Task, tiny: Settings) -> None:
    """With half of a label to all five a solver learns to be sure by 0.6; dreams, called by one name, stay sure."""
    smooth = changed(tiny, solver__smoothing=0.5)
    scholar = learn(low, settings=smooth, past=[])
    sure = scholar.probabilities(torch.from_numpy(low.resized(1, 16).train.images)).amax(1)
    assert 0.5 < float(sure.mean()) < 0.75
    dreaming = learn(low, settings=tiny)
    again = learn(high, dreaming, settings=changed(tiny, solver__smoothing=0.5, replay__labels="hard"))
    images, _ = dreaming.dream(200)
    assert float(again.probabilities(images).amax(1).mean()) > float(sure.mean())


def shown(monkeypatch: pytest.MonkeyPatch, task: Task, one: Scholar, settings: Settings) -> tuple[Tensor, Tensor]:
    """Real images and dreams, as the solver sees them."""
    batches: list[Batch] = []

    def spying(source: Source, **named: Any) -> Solver:
        batches.append(source.draw(200))
        return teach_solver(source, **named)

    monkeypatch.setattr("scholars.learning.teach_solver", spying)
    learn(task, one, settings=settings)
    dreamt = batches[0].conditions < len(one.conditions)
    return batches[0].images[~dreamt].float(), batches[0].images[dreamt].float()


def test_noise_and_negatives_are_of_real_images_and_dreams_alike(
    monkeypatch: pytest.MonkeyPatch, low: Task, high: Task, tiny: Settings
) -> None:
    """Were they of either alone, they would be what tells them apart."""
    # Of a few steps, dreams of this kind are smooth, and dark as the digits' ground.
    one = learn(low, settings=changed(tiny, generator__kind="vae"))

    def rough(images: Tensor) -> float:
        return float(images.diff(dim=3).abs().mean())

    def bright(images: Tensor) -> float:
        return float((images.mean((1, 2, 3)) > 127.5).float().mean())

    plain = shown(monkeypatch, high, one, one.settings)
    noisy = shown(monkeypatch, high, one, changed(one.settings, solver__noise=200))
    negative = shown(monkeypatch, high, one, changed(one.settings, solver__invert=True))
    for before, with_noise, inverted in zip(plain, noisy, negative, strict=True):
        assert rough(with_noise) > rough(before) + 20
        assert bright(before) < 0.1
        assert 0.3 < bright(inverted) < 0.7


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
    settings = changed(tiny, generator__kind=kind)
    asked = iter(range(10_000))
    with pytest.raises(Interrupted):
        learn(low, settings=settings, session=Session(tmp_path, stopping=lambda: next(asked) >= stop_at))
    resumed, whole = learn(low, settings=settings, session=Session(tmp_path)), learn(low, settings=settings)
    assert same(resumed, whole)
    assert resumed.lineage[0].metrics == whole.lineage[0].metrics
    assert set(whole.lineage[0].metrics) == {"solver", "generator"}


def test_an_interrupted_second_task_goes_on_bit_for_bit(one: Scholar, high: Task, tmp_path: Path) -> None:
    """Stopped in the solver's training, when dreams of either task have been drawn."""
    settings = changed(one.settings, generator__kind="r3gan")
    asked = iter(range(10_000))
    with pytest.raises(Interrupted, match="'solver'"):
        learn(high, one, settings=settings, session=Session(tmp_path, stopping=lambda: next(asked) >= 50))
    whole = learn(high, one, settings=settings)
    assert same(learn(high, one, settings=settings, session=Session(tmp_path)), whole)


def test_new_classes_are_dreamt_of_before_they_are_learned(one: Scholar, high: Task, low: Task) -> None:
    """600 dreams of the past, and for the half of the batches that is new half as many of it."""

    def dreamt(task: Task, kind: str = "r3gan", **changes: object) -> int:
        return learn(task, one, settings=changed(one.settings, generator__kind=kind, **changes)).lineage[-1].dreamt

    assert dreamt(high) == 600 + 300
    assert dreamt(high, replay__preview=0) == 600
    assert dreamt(high, "wgan") == 600  # not told what to paint
    assert dreamt(high, "flow") == 600  # its dreams would betray their generation
    assert dreamt(high, "flow", replay__preview=0.5) == 600 + 300
    assert dreamt(low) == 600
    assert dreamt(low, replay__preview=0.2) == 600 + 300
    assert learn(high, one, past=[]).lineage[-1].dreamt == 0


def test_a_generator_sees_more_of_new_classes_than_their_share(one: Scholar, high: Task) -> None:
    """Counted by what stands for the past in either network's batches."""

    seven = high.only(("7",))

    def past(task: Task, r: float, **changes: object) -> float:
        """The past's share of the generator's batches; ``r`` is what is new of the solver's."""
        settings = changed(one.settings, generator__kind="vae", replay__dreams="fresh", **changes)
        s, g = settings.solver, settings.generator.vae
        dreamt = learn(task, one, settings=settings).lineage[-1].dreamt
        return (dreamt - (1 - r) * s.batch * s.steps) / (g.batch * g.steps)

    r = 1 / (len(one.classes) + 1)
    assert past(seven, r) == pytest.approx(0.5, abs=0.01)
    assert past(seven, r, replay__generator_ratio=0.25) == pytest.approx(0.75, abs=0.01)
    known = replace(seven, classes=("2",))
    assert past(known, r) == pytest.approx(1 - r, abs=0.01)


def test_a_later_task_may_bring_one_class(one: Scholar, high: Task) -> None:
    three = learn(high.only(("7",)), one)
    assert three.classes == ("0", "1", "2", "3", "4", "7")
    assert three.solver(torch.zeros(2, 1, 16, 16, dtype=torch.uint8)).shape == (2, 6)


def test_a_first_task_needs_two_classes(high: Task, tiny: Settings) -> None:
    with pytest.raises(InputError, match="needs two or more"):
        learn(high.only(("7",)), settings=tiny)


def test_a_learned_generator_has_no_teacher_any_more(two: Scholar) -> None:
    """Else each would keep the one before, and memory the whole lineage."""
    assert two.generator is not None
    assert two.generator.past == Past()


def test_a_class_without_a_training_image_is_refused(low: Task, tiny: Settings) -> None:
    lacking = replace(low, train=low.train[np.flatnonzero(low.train.labels != 3)])
    with pytest.raises(InputError, match="class '3' has no training image"):
        learn(lacking, settings=tiny)


def test_what_does_not_fit_the_previous_scholar_is_refused(one: Scholar, high: Task) -> None:
    with pytest.raises(InputError, match="image shape is fixed"):
        learn(high, one, settings=changed(one.settings, image__size=20))
    for change in ({"solver__width": 4}, {"solver__width": 16}, {"solver__kind": "mlp"}):
        with pytest.raises(InputError, match=r"solver\.start=fresh"):
            learn(high, one, settings=changed(one.settings, **change))
    with pytest.raises(InputError, match=r"generator\.start=fresh"):
        learn(high, one, settings=changed(one.settings, generator__flow__width=16))
    fresh = changed(one.settings, solver__width=4, solver__start="fresh")
    assert learn(high, one, settings=fresh).generation == 2


def test_a_warm_start_heeds_its_own_rate(one: Scholar, high: Task) -> None:
    """At a rate of nearly nothing the previous weights stay."""
    settings = changed(one.settings, solver__warm_rate=1e-9, generator__flow__steps=1)
    two = learn(high, one, settings=settings)
    for name, value in one.solver.named_parameters():
        learned = dict(two.solver.named_parameters())[name]
        torch.testing.assert_close(learned[: len(value)], value, rtol=0, atol=1e-5)


def test_a_critic_goes_on_to_classify_what_it_knew_and_what_is_new(low: Task, high: Task, hasty: Settings) -> None:
    """At rates of nearly nothing its rows of the known classes stay; those of new classes come after them."""
    classified = changed(hasty, generator__kind="r3gan", generator__r3gan__classify=1, generator__r3gan__steps=1)
    gentle = changed(classified, generator__r3gan__rate=1e-9, generator__r3gan__critic_rate=1e-9)
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
        learn(high, one, settings=changed(classified, generator__r3gan__classify=0))


def test_a_generator_may_work_at_its_own_size(high: Task, low: Task, tiny: Settings) -> None:
    settings = changed(tiny, generator__size=12, generator__kind="wgan-gp")
    first = learn(low, settings=settings)
    assert first.dream(3)[0].shape == (3, 1, 16, 16)
    assert first.generator is not None
    assert first.generator.sample(torch.zeros(3, dtype=torch.int64)).shape == (3, 1, 12, 12)
    assert learn(high, first).generation == 2


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (64, 3)])
@pytest.mark.parametrize("kind", sorted(GeneratorSettings().kinds()))
def test_the_usual_sizes_are_learned(
    low: Task, high: Task, tiny: Settings, kind: str, size: int, channels: int, tmp_path: Path
) -> None:
    """Every generator at every size: learned, saved, loaded, dreamt of, and learned on."""
    changes = {"image.size": size, "image.channels": channels, "generator.kind": kind, "solver.steps": 2}
    changes |= {f"generator.{kind}.steps": 2, "familiarity.dreams": 0, "replay.bank": 20}
    learn(low, settings=build(Settings, tiny.model_dump(mode="json"), changes, where="test")).save(tmp_path / "s")
    two = learn(high, Scholar.load(tmp_path / "s"))
    assert two.dream(3)[0].shape == (3, channels, size, size)
    assert two.predict_proba(high.test.images[:2]).shape == (2, 10)


def test_colours_and_sizes_come_to_the_scholars_shape(one: Scholar) -> None:
    rng = np.random.default_rng(0)
    images = Images(rng.integers(0, 256, (40, 3, 21, 30), dtype=np.uint8), np.arange(40) % 2)
    other = learn(Task("colours", ("red", "4"), images, images), one)
    assert other.classes == ("0", "1", "2", "3", "4", "red")
    assert other.settings.image == one.settings.image


@pytest.mark.parametrize("kind", ["flow", "wgan-gp", "vae", "gan", "r3gan"])
def test_replay_cures_forgetting_without_old_data(low: Task, high: Task, kind: str) -> None:
    """The mission in a minute: naive training forgets the first digits, dreams of them keep them."""
    settings = build(
        Settings,
        {
            "image": {"size": 16, "channels": 1},
            "solver": {"width": 16, "steps": 150, "batch": 64},
            "generator": {
                "kind": kind,
                "flow": {"width": 16, "steps": 500, "batch": 64, "rate": 4e-3},
                "wgan-gp": {"width": 16, "steps": 700},
                "vae": {"width": 16, "steps": 400, "batch": 64},
                "gan": {"width": 16, "steps": 700},
                "r3gan": {"width": 16, "steps": 700},
            },
            "replay": {"bank": 2000},
        },
        None,
        where="tests",
    )
    first = learn(low, settings=settings)
    kept = accuracy(first, low)
    naive = learn(high, first, past=[])
    replayed = learn(high, first)
    assert kept > 0.95
    assert accuracy(naive, low) < 0.3
    assert accuracy(replayed, low) > 0.8
    assert accuracy(replayed, high) > 0.9
    # And the next generation can go on: this one's dreams are still of the first digits, where it is asked for them.
    if replayed.settings.generator.chosen.conditional:
        dreamt = next(replayed.dreaming(500))
        asked = torch.tensor([output for _, output in replayed.conditions])[dreamt.conditions]
        assert (dreamt.labels == asked)[asked < 5].float().mean() > 0.6
