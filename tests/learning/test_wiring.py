"""What reaches whom: seeds, conditions, shares and dreams, on their way from a recipe to what is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import TINY
from torch import Tensor

from scholars.experiments.recipe import Recipe
from scholars.experiments.run import run
from scholars.generators import Teacher
from scholars.generators.flow import Flow
from scholars.learning.algorithm import learn
from scholars.learning.dreams import dream_bank, replay_source
from scholars.learning.inheritance import inherit
from scholars.learning.networks import train_generator, train_solver
from scholars.scholar import Scholar
from scholars.settings import ReplaySettings, Settings
from scholars.settings.overrides import build
from scholars.tasks.task import Task
from scholars.training.batches import Batch
from scholars.training.loop import Session


@pytest.fixture
def quick(one: Scholar) -> Settings:
    """As little training as there can be."""
    least = {"solver.steps": 2, "generator.steps": 2, "ood.dreams": 0}
    return build(Settings, one.settings.model_dump(), least, where="tests")


def drawn(monkeypatch: pytest.MonkeyPatch, train: Any) -> list[tuple[Batch, dict[str, Any]]]:
    """400 images of what each network is trained on, and the other arguments of ``train``."""
    seen: list[tuple[Batch, dict[str, Any]]] = []

    def noting(source: Any, **named: Any) -> Any:
        torch.manual_seed(0)
        seen.append((source.draw(400), named))
        return train(source, **named)

    monkeypatch.setattr(f"scholars.learning.algorithm.{train.__name__}", noting)
    return seen


def each(images: Tensor) -> list[bytes]:
    return [image.numpy().tobytes() for image in images]


def test_no_two_chunks_of_dreams_are_the_same(one: Scholar) -> None:
    first, second = torch.split(one.dream(2 * one.chunk_size)[0], one.chunk_size)
    assert not torch.equal(first, second)


def test_fresh_dreams_are_of_all_conditions(one: Scholar, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []
    sample = Scholar.sample

    def noting(scholar: Scholar, conditions: Tensor) -> Batch:
        asked.append(conditions)
        return sample(scholar, conditions)

    monkeypatch.setattr(Scholar, "sample", noting)
    torch.manual_seed(0)
    settings = one.settings.model_copy(update={"replay": ReplaySettings(dreams="fresh")})
    replay_source(inherit([one]), settings, 0, Session()).draw(100)
    assert set(asked[0].tolist()) == set(range(5))


def labelled_in_turn(scholar: Scholar, images: Tensor) -> Tensor:
    """Stand in for `Scholar.probabilities`: how well trained a scholar is does not matter then."""
    return F.one_hot(torch.arange(len(images)) * 3 % 5, len(scholar.classes)).float()


def test_a_generator_is_given_the_conditions_that_its_images_show(
    monkeypatch: pytest.MonkeyPatch, one: Scholar, high: Task, quick: Settings
) -> None:
    """Two tasks without a common class: condition i is output i, of dreams as of real images."""
    monkeypatch.setattr(Scholar, "probabilities", labelled_in_turn)
    seen = drawn(monkeypatch, train_generator)
    learn(high, one, settings=quick)
    batch, named = seen[0]
    assert named["conditions"] == 10
    assert set(batch.labels.tolist()) == set(range(10)), "or there is nothing to mistake"
    assert torch.equal(batch.conditions, batch.labels)


def test_a_class_of_three_tasks_is_three_conditions(
    monkeypatch: pytest.MonkeyPatch, one: Scholar, low: Task, quick: Settings
) -> None:
    monkeypatch.setattr(Scholar, "probabilities", labelled_in_turn)
    again = learn(low, one, settings=quick)
    seen, known = drawn(monkeypatch, train_generator), []
    trainee = Flow.trainee

    def noting(flow: Flow, fabric: Any, teacher: Teacher) -> Any:
        known.append(teacher.conditions)
        return trainee(flow, fabric, teacher)

    monkeypatch.setattr(Flow, "trainee", noting)
    learn(low, again, settings=quick)
    batch, named = seen[0]
    assert (named["conditions"], known) == (15, [10])
    assert torch.equal(batch.conditions % 5, batch.labels)
    assert [int((batch.conditions // 5 == task).sum()) > 50 for task in (0, 1, 2)] == [True] * 3


def test_what_is_replayed_is_the_bank_of_that_seed(
    monkeypatch: pytest.MonkeyPatch, one: Scholar, high: Task, quick: Settings
) -> None:
    """And so it is what `export_dreams` writes."""
    seen = drawn(monkeypatch, train_generator)
    learn(high, one, settings=quick, seed=3)
    batch, _ = seen[0]
    old = each(batch.inputs[batch.conditions < 5])
    assert len(old) > 100
    assert set(old) <= set(each(dream_bank(one, quick.replay, seed=3).inputs))


@pytest.mark.parametrize(
    ("vary", "as_dreamt"), [({}, 1.0), ({"flip": True}, 0.5), ({"invert": True}, 0.5), ({"warp": 0.2}, 0.0)]
)
def test_the_solver_sees_dreams_varied_as_real_images_are(
    monkeypatch: pytest.MonkeyPatch,
    one: Scholar,
    high: Task,
    quick: Settings,
    vary: dict[str, Any],
    as_dreamt: float,
) -> None:
    seen = drawn(monkeypatch, train_solver)
    changes = {f"solver.{key}": value for key, value in {"shift": 0, **vary}.items()}
    wanted = build(Settings, quick.model_dump(), changes, where="tests")
    learn(high, one, settings=wanted)
    batch, _ = seen[0]
    dreams = each(batch.inputs[batch.conditions < 5])
    bank = set(each(dream_bank(one, wanted.replay, seed=0).inputs))
    assert len(dreams) > 100
    assert sum(dream in bank for dream in dreams) / len(dreams) == pytest.approx(as_dreamt, abs=0.12)


def test_stored_tasks_are_shown_as_often_as_they_have_classes(
    monkeypatch: pytest.MonkeyPatch, low: Task, high: Task, quick: Settings
) -> None:
    three, single = low.select_classes(("0", "1", "2")), low.select_classes(("3",))
    first = learn(low, settings=quick, past=[])
    seen = drawn(monkeypatch, train_solver)
    wanted = quick.model_copy(update={"replay": quick.replay.model_copy(update={"ratio": 0.2})})
    learn(high, first, settings=wanted, past=[three, single])
    labels = seen[0][0].labels
    counts = [int(((labels >= low) & (labels < high)).sum()) for low, high in ((0, 3), (3, 4), (5, 10))]
    assert counts == pytest.approx([240, 80, 80], abs=1)


def test_every_generation_has_a_randomness_of_its_own(
    monkeypatch: pytest.MonkeyPatch, low: Task, high: Task, quick: Settings
) -> None:
    """Whatever seed its task is learned with; and every seed has another."""
    seen = drawn(monkeypatch, train_solver)
    first = learn(low, settings=quick)
    learn(high, first, settings=quick)
    learn(low, settings=quick, seed=1)
    positions = [named["seed"] for _, named in seen]
    assert len(set(positions)) == 3


def test_every_seed_of_a_run_is_learned_with_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So are the order of its classes and what its buffer holds."""
    seen: list[tuple[Task, dict[str, Any]]] = []

    def noting(task: Task, previous: Scholar | None, **named: Any) -> Scholar:
        seen.append((task, named))
        return learn(task, previous, **named)

    monkeypatch.setattr("scholars.experiments.method_run.learn", noting)
    plan = {"name": "seeds", "split": {"source": "digits", "tasks": 2, "order": "seed"}, "buffer": 40}
    changes = {"methods": ["er"], "seeds": [0, 1], "solver.steps": 2, "audit.dreams": 0}
    run(build(Recipe, {**TINY, **plan}, changes, where="tests"), tmp_path / "out", save_every=7.0)
    assert [named["seed"] for _, named in seen] == [0, 0, 1, 1]
    assert seen[0][0].classes != seen[2][0].classes
    assert {named["session"].save_every for _, named in seen} == {7.0}
    for seed, (first, second) in enumerate((seen[:2], seen[2:])):
        (kept,) = second[1]["past"]
        buffer = first[0].sampled(8, seed)
        assert each(kept.train.tensor) == each(buffer.train.tensor)
