"""Whose unfinished work is resumed, and how its time is counted."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scholars.errors import InputError, Interrupted
from scholars.learning.arguments import LearnArgs, Past
from scholars.learning.resume import claim, stage_timer
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.storage import files
from scholars.tasks.task import Task
from scholars.training.loop import NO_SESSION, Session
from scholars.training.meter import Tick


def test_only_the_very_same_learning_goes_on(low: Task, one: Scholar, tiny: Settings, tmp_path: Path) -> None:
    folder, kept = tmp_path / "work", tmp_path / "work" / "solver.safetensors"

    def goes_on(
        task: Task = low,
        previous: Scholar | None = None,
        settings: Settings = tiny,
        seed: int = 0,
        past: Past = "dreams",
    ) -> bool:
        """Whether this, begun after the learning of ``low``, finds what that left."""
        claim(folder, LearnArgs(low, None, "dreams", tiny, 0))
        kept.write_text("half done")
        claim(folder, LearnArgs(task, previous, past, settings, seed))
        return kept.exists()

    assert goes_on()
    images = low.train.images.copy()
    images[-1, 0, 0, 0] += 1
    assert not goes_on(task=replace(low, train=replace(low.train, pixels=images)))
    relabelled = replace(low.train, labels=(low.train.labels + 1) % 5)
    assert not goes_on(task=replace(low, train=relabelled))
    assert not goes_on(previous=one)
    claim(folder, LearnArgs(low, one, "dreams", tiny, 0))
    kept.write_text("half done")
    other = copy.deepcopy(one)
    assert other.generator is not None
    with torch.no_grad():
        next(other.generator.parameters()).add_(1)
    claim(folder, LearnArgs(low, other, "dreams", tiny, 0))
    assert not kept.exists()
    assert not goes_on(settings=tiny.model_copy(update={"solver": tiny.solver.model_copy(update={"rate": 0.1})}))
    assert not goes_on(seed=1)
    assert not goes_on(past=[])
    assert not goes_on(past=[low])


def test_a_folder_of_something_else_is_left_as_it_is(low: Task, tiny: Settings, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds no unfinished learning"):
        claim(tmp_path, LearnArgs(low, None, "dreams", tiny, 0))
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_note_that_cannot_be_read_is_nobodys(low: Task, tiny: Settings, tmp_path: Path) -> None:
    claim(tmp_path / "work", LearnArgs(low, None, "dreams", tiny, 0))
    (tmp_path / "work" / "learning.json").write_text("{")
    (tmp_path / "work" / "solver.safetensors").write_text("half done")
    claim(tmp_path / "work", LearnArgs(low, None, "dreams", tiny, 0))
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["learning.json"]


@pytest.mark.parametrize(
    ("kept", "seconds"), [(True, {"bank": 3.0, "solver": 8.0}), (False, {"bank": 2.0, "solver": 4.0})]
)
def test_what_interrupted_attempts_took_counts(
    kept: bool, seconds: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a bank 1 s, then its solver 4 s until it is stopped; once more, in another process: 2 s and 4 s."""
    clock = iter([0.0, 1.0, 10.0, 14.0, 100.0, 102.0, 110.0, 114.0])
    monkeypatch.setattr("scholars.learning.resume.time.perf_counter", lambda: next(clock))
    note = tmp_path / "seconds.json" if kept else None
    first: dict[str, float] = {}
    with stage_timer(note, NO_SESSION, first, "bank"):
        pass
    with pytest.raises(Interrupted), stage_timer(note, NO_SESSION, first, "solver"):
        raise Interrupted("stopped")
    again: dict[str, float] = {}
    for stage in ("bank", "solver"):
        with stage_timer(note, NO_SESSION, again, stage):
            pass
    assert (first, again) == ({"bank": 1.0, "solver": 4.0}, seconds)


def test_of_an_attempt_that_was_killed_what_it_took_is_noted_as_often_as_it_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("scholars.learning.resume.time.perf_counter", lambda: clock[-1])
    note, noted = tmp_path / "seconds.json", []
    ticks: list[Tick] = []
    files.write_json(note, {"solver": 7.0})
    tick = Tick("solver", 1, 2, {}, 1.0)
    with stage_timer(note, Session(on_tick=ticks.append, save_every=60), {}, "solver") as session:
        for now in (30.0, 61.0, 90.0, 121.0):
            clock.append(now)
            session.on_tick(tick)
            noted.append(files.read_json(note)["solver"])
    assert noted == [7.0, 68.0, 68.0, 128.0]
    assert ticks == [tick] * 4
