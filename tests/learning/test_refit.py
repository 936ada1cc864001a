"""What was held out is learned once the accuracy is known, and the lineage says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import TINY, flat
from photographs import QUICK, photograph

from scholars.errors import InputError, Interrupted
from scholars.generators import Mixture
from scholars.learning.callbacks import Callbacks
from scholars.learning.lifelong import teach
from scholars.scholar import Scholar
from scholars.tasks.open import open_task
from scholars.tasks.task import Task


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = tmp_path_factory.mktemp("photos")
    for thing in ("disc", "box"):
        (folder / thing).mkdir()
        for number in range(12):
            photograph(thing, number).save(folder / thing / f"{number}.png")
    return open_task(folder, decode=False)


def weights(scholar: Scholar) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in scholar.solver.state_dict().values()])


def test_the_held_out_photos_are_learned_after_the_score(photos: Task, tmp_path: Path) -> None:
    once = teach(tmp_path / "once", photos, changes=QUICK)
    refitted = teach(tmp_path / "refitted", photos, changes=QUICK, refit=True)
    before, after = once.lineage[-1], refitted.lineage[-1]
    assert (before.refit, after.refit) == (False, True)
    assert (before.accuracy, before.test_count) == (after.accuracy, after.test_count)
    assert after.train_count == before.train_count + before.test_count == 24
    assert before.was_trained_on(photos.train.digests).all()
    assert not before.was_trained_on(photos.test.digests).any()
    assert after.was_trained_on(photos.test.digests).all()
    assert after.audit == before.audit
    assert isinstance(refitted.generator, Mixture)
    assert sum(int(memory.photos) for memory in refitted.generator.memories) == 24
    assert not torch.equal(weights(once), weights(refitted))
    assert torch.equal(weights(Scholar.load(tmp_path / "refitted")), weights(refitted))


def test_a_refit_that_was_stopped_goes_on(low: Task, tmp_path: Path) -> None:
    """In the second learning, and ends in the same bits."""
    task = Task(low.name, low.classes, low.train, low.test, split="held out")
    changes = {**flat(TINY), "audit.dreams": 0}
    whole = teach(tmp_path / "whole", task, changes=changes, refit=True)
    ticks: list[str] = []
    callbacks = Callbacks(
        on_tick=lambda _, tick: ticks.append(tick.stage),
        stopping=lambda: ticks.count("solver") > 0 and ticks[-1] == "generator",
    )
    with pytest.raises(Interrupted):
        teach(tmp_path / "stopped", task, changes=changes, refit=True, callbacks=callbacks)
    assert not (tmp_path / "stopped").exists()
    resumed = teach(tmp_path / "stopped", task, changes=changes, refit=True)
    assert torch.equal(weights(whole), weights(resumed))
    assert resumed.lineage[-1].train_count == len(low.train) + len(low.test)


def test_a_test_part_that_was_given_is_never_learned(low: Task, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"of 'digits' it holds out none: leave --refit out"):
        teach(tmp_path / "s", low, changes=flat(TINY), refit=True)
    assert not (tmp_path / "s").exists()
