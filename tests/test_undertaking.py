from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scholars import store
from scholars.errors import InputError, Interrupted
from scholars.fitting import ALONE, Session, Tick
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.tasks import Task
from scholars.undertaking import alone, claim, timed


def test_only_the_very_same_learning_goes_on(low: Task, one: Scholar, tiny: Settings, tmp_path: Path) -> None:
    folder, kept = tmp_path / "work", tmp_path / "work" / "solver.safetensors"

    def goes_on(
        task: Task = low,
        previous: Scholar | None = None,
        settings: Settings = tiny,
        seed: int = 0,
        past: str | list[Task] = "dreams",
    ) -> bool:
        """Whether this, begun after the learning of ``low``, finds what that left."""
        claim(folder, low, None, tiny, 0, "dreams")
        kept.write_text("half done")
        claim(folder, task, previous, settings, seed, past)
        return kept.exists()

    assert goes_on()
    images = low.train.images.copy()
    images[-1, 0, 0, 0] += 1
    assert not goes_on(task=replace(low, train=replace(low.train, images=images)))
    relabelled = replace(low.train, labels=(low.train.labels + 1) % 5)
    assert not goes_on(task=replace(low, train=relabelled))
    assert not goes_on(previous=one)
    claim(folder, low, one, tiny, 0, "dreams")
    kept.write_text("half done")
    other = copy.deepcopy(one)
    assert other.generator is not None
    with torch.no_grad():
        next(other.generator.parameters()).add_(1)
    claim(folder, low, other, tiny, 0, "dreams")
    assert not kept.exists()
    assert not goes_on(settings=tiny.model_copy(update={"solver": tiny.solver.model_copy(update={"rate": 0.1})}))
    assert not goes_on(seed=1)
    assert not goes_on(past=[])
    assert not goes_on(past=[low])


def test_a_folder_of_something_else_is_left_as_it_is(low: Task, tiny: Settings, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds no unfinished learning"):
        claim(tmp_path, low, None, tiny, 0, "dreams")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_note_that_cannot_be_read_is_nobodys(low: Task, tiny: Settings, tmp_path: Path) -> None:
    claim(tmp_path / "work", low, None, tiny, 0, "dreams")
    (tmp_path / "work" / "learning.json").write_text("{")
    (tmp_path / "work" / "solver.safetensors").write_text("half done")
    claim(tmp_path / "work", low, None, tiny, 0, "dreams")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["learning.json"]


@pytest.mark.parametrize(
    ("kept", "seconds"), [(True, {"bank": 3.0, "solver": 8.0}), (False, {"bank": 2.0, "solver": 4.0})]
)
def test_what_interrupted_attempts_took_counts(
    kept: bool, seconds: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a bank 1 s, then its solver 4 s until it is stopped; once more, in another process: 2 s and 4 s."""
    clock = iter([0.0, 1.0, 10.0, 14.0, 100.0, 102.0, 110.0, 114.0])
    monkeypatch.setattr("scholars.undertaking.time.perf_counter", lambda: next(clock))
    note = tmp_path / "seconds.json" if kept else None
    first: dict[str, float] = {}
    with timed(note, ALONE, first, "bank"):
        pass
    with pytest.raises(Interrupted), timed(note, ALONE, first, "solver"):
        raise Interrupted("stopped")
    again: dict[str, float] = {}
    for stage in ("bank", "solver"):
        with timed(note, ALONE, again, stage):
            pass
    assert (first, again) == ({"bank": 1.0, "solver": 4.0}, seconds)


def test_of_an_attempt_that_was_killed_what_it_took_is_noted_as_often_as_it_saves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("scholars.undertaking.time.perf_counter", lambda: now)
    note, noted = tmp_path / "seconds.json", []
    ticks: list[Tick] = []
    store.write_json(note, {"solver": 7.0})
    tick = Tick("solver", 1, 2, {}, 1.0)
    with timed(note, Session(on_tick=ticks.append, save_every=60), {}, "solver") as session:
        for now in (30.0, 61.0, 90.0, 121.0):  # noqa: B007
            session.on_tick(tick)
            noted.append(store.read_json(note)["solver"])
    assert noted == [7.0, 68.0, 68.0, 128.0]
    assert ticks == [tick] * 4


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc")
def test_where_no_file_can_be_nobody_is_waited_for() -> None:
    with pytest.raises(InputError, match="/proc cannot be written to"), alone(Path("/proc/scholar"), "teaching"):
        pass
