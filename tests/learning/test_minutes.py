"""How the budget is chosen that takes a given time, and that it stays what it was when the work goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TINY, flat, same_weights

from scholars.errors import Interrupted
from scholars.learning import resume
from scholars.learning.algorithm import learn
from scholars.learning.arguments import LearnArgs
from scholars.learning.callbacks import Callbacks
from scholars.learning.estimate import Estimate
from scholars.learning.lifelong import plan_lesson, teach
from scholars.learning.minutes import LEAST, MOST, fit_budget, forget_budget
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.storage import files
from scholars.storage.work import WorkFolder
from scholars.tasks.task import Task

# Some steps of the solver follow from the data, and so from the budget.
OPEN = {**flat(TINY), "solver.steps": None, "audit.dreams": 0, "ood.dreams": 0}
MINUTE = {**OPEN, "minutes": 1}


def never() -> Estimate:
    raise AssertionError("nothing is to be measured")


def takes(seconds: float, fixed: float = 0.0) -> Estimate:
    """Return the estimate of a machine on which the normal budget takes so many seconds."""
    return Estimate(fixed, seconds)


def pace(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let a task take so many seconds with the normal budget, whatever is measured."""
    patch.setattr(resume, "estimate", lambda args, backbone: takes(seconds))


def stop_after(polls: int) -> Callbacks:
    asked = iter(range(100_000))
    return Callbacks(stopping=lambda: next(asked) >= polls)


def test_without_minutes_and_with_a_number_nothing_changes() -> None:
    for settings in (Settings(), Settings(budget="large"), Settings(budget=0.3), Settings(minutes=5, budget=0.3)):
        assert fit_budget(settings, None, never) is settings


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (takes(120), 0.5),
        (takes(40, fixed=20), 1.0),
        (takes(70), 0.857),
        (takes(1e6), LEAST),
        (takes(10, fixed=90), LEAST),
        (takes(0.1), MOST),
        (takes(0), MOST),
    ],
)
def test_the_budget_takes_the_time(estimate: Estimate, expected: float) -> None:
    assert fit_budget(Settings(minutes=1), None, lambda: estimate).budget == expected


def work_in(folder: Path, seed: int = 0, nested: bool = True) -> Callable[[Settings], WorkFolder]:
    def place(settings: Settings) -> WorkFolder:
        document = settings.model_dump(mode="json")
        return WorkFolder(folder, "note.json", {"settings": document, "seed": seed} if nested else document)

    return place


@pytest.mark.parametrize("nested", [True, False])
def test_unfinished_work_keeps_its_budget(tmp_path: Path, nested: bool) -> None:
    settings, place = Settings(minutes=1), work_in(tmp_path / "work", nested=nested)
    begun = fit_budget(settings, place, lambda: takes(120))
    place(begun).begin()
    assert fit_budget(settings, place, never) == begun
    assert fit_budget(settings, place, never).budget == 0.5


def test_other_unfinished_work_does_not(tmp_path: Path) -> None:
    settings, place = Settings(minutes=1), work_in(tmp_path / "work")
    place(fit_budget(settings, place, lambda: takes(120))).begin()
    assert fit_budget(Settings(minutes=2), place, lambda: takes(60)).budget == 2
    assert fit_budget(settings, work_in(tmp_path / "work", seed=1), lambda: takes(240)).budget == 0.25


@pytest.mark.parametrize("note", ["", "{}", "[]", '{"settings": 3}', '{"settings": {"budget": {}}}', '{"budget": "x"}'])
@pytest.mark.filterwarnings("error")
def test_a_damaged_note_is_of_no_work(tmp_path: Path, note: str) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "note.json").write_text(note)
    assert fit_budget(Settings(minutes=1), work_in(tmp_path / "work"), lambda: takes(120)).budget == 0.5


def test_the_next_task_is_planned_anew() -> None:
    assert forget_budget(Settings(minutes=1, budget=0.5)) == Settings(minutes=1)
    for settings in (Settings(budget=0.5), Settings(budget="small")):
        assert forget_budget(settings) == settings


def test_unfinished_work_of_another_task_is_measured_again(
    low: Task, high: Task, tiny: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny.model_copy(update={"minutes": 1.0})

    def fitted(task: Task, seconds: float) -> LearnArgs:
        pace(monkeypatch, seconds)
        return resume.fit_minutes(LearnArgs(task, None, "dreams", settings, 0), None, tmp_path / "work")

    resume.claim(tmp_path / "work", fitted(low, 120))
    assert fitted(low, 60).settings.budget == 0.5
    assert fitted(high, 60).settings.budget == 1
    assert resume.fit_minutes(fitted(high, 60), None, None, times=2).settings.budget == 1


def test_interrupted_teaching_goes_on_bit_for_bit_at_another_pace(
    low: Task, high: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    pace(monkeypatch, 600)
    with pytest.raises(Interrupted):
        teach(home, low, changes=MINUTE, callbacks=stop_after(25))
    pace(monkeypatch, 3000)
    resumed = teach(home, low, changes=MINUTE)
    whole = learn(low, settings=resumed.settings)
    assert same_weights(resumed, whole)
    assert resumed.settings.budget == 0.1
    assert resumed.lineage[0].plan["solver.steps"] == round(0.1 * 9 * len(low.train) ** 0.5)

    # The next task is planned anew, without being told the time again; a budget by hand ends that.
    second = teach(home, high)
    assert (second.settings.minutes, second.settings.budget) == (1, LEAST)
    third = teach(home, low, changes={"budget": 0.01, "minutes": None})
    assert (third.settings.minutes, third.settings.budget) == (None, 0.01)
    assert forget_budget(third.settings) == third.settings


def test_what_was_learned_when_it_was_killed_is_not_learned_twice(
    low: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had taken its place, its work was not cleared away yet, and the machine has another pace since."""

    def die(folder: Path) -> None:
        raise KeyboardInterrupt

    home = tmp_path / "home"
    pace(monkeypatch, 1200)
    with monkeypatch.context() as patch:
        patch.setattr(files, "remove_folder", die)
        with pytest.raises(KeyboardInterrupt):
            teach(home, low, changes=MINUTE)
    pace(monkeypatch, 600)
    assert teach(home, low, changes=MINUTE).generation == 1
    assert Scholar.load(home).settings.budget == 0.05
    assert teach(home, low, changes=MINUTE).generation == 2


def test_learning_twice_has_half_of_the_time_each(low: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pace(monkeypatch, 600)
    held_out = replace(low, split="held out")
    told = plan_lesson(tmp_path / "home", held_out, changes=MINUTE, refit=True)
    assert any(line.startswith("budget: 0.05 of normal, for 1 minute: ") for line in told)
    taught = teach(tmp_path / "home", held_out, changes=MINUTE, refit=True)
    assert taught.settings.budget == 0.05
    assert taught.lineage[0].train_count == len(low.train) + len(low.test)
    assert not list(tmp_path.glob(".home.learning*"))


def test_too_little_time_is_said(low: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def warned(seconds: float, fixed: float) -> bool:
        for module in ("resume", "plan"):
            monkeypatch.setattr(f"scholars.learning.{module}.estimate", lambda *_: takes(seconds, fixed))
        return any("the least, teaches" in line for line in plan_lesson(tmp_path / "s", low, changes=MINUTE))

    assert warned(10, fixed=90)
    assert warned(1e5, fixed=0)
    assert not warned(600, fixed=30)
    assert not warned(50 * 60, fixed=0)
