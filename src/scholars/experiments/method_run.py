"""Learn a stream by one method with one seed: train, evaluate, audit and save, task by task."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from scholars.backbones import Backbone
from scholars.evaluation.accuracy import Evaluation, concat, evaluate
from scholars.evaluation.metrics import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    learning_accuracy,
)
from scholars.experiments.environment import peak_memory_mb, reset_peak_memory
from scholars.experiments.methods import METHODS, Method
from scholars.experiments.recipe import Recipe
from scholars.experiments.samples import save_evaluation
from scholars.learning.algorithm import learn
from scholars.learning.arguments import Past
from scholars.learning.audit import audit
from scholars.learning.budget import Facts, plan_settings, planned_settings
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.dreams import dream_bank
from scholars.learning.resume import stage_timer
from scholars.scholar import Scholar
from scholars.settings import Settings
from scholars.settings.base import planned
from scholars.storage import files
from scholars.storage.image_files import write_image_folder
from scholars.tasks.task import Task
from scholars.training.loop import Session
from scholars.training.meter import Tick


@dataclass(frozen=True)
class MethodRun:
    """One method with one seed. Tasks are numbered from 0 here, from 1 in the names of files.

    out: the folder of the whole run
    tasks: the stream
    name: of the method
    save_every: seconds between checkpoints of the unfinished work
    backbone: which has looked at the tasks; None for scholars of pixels
    """

    recipe: Recipe
    out: Path
    tasks: Sequence[Task]
    seed: int
    name: str
    callbacks: Callbacks
    save_every: float
    backbone: Backbone | None = None

    def run(self, first: Scholar | None) -> tuple[dict[str, Any], Scholar | None]:
        """Learn all tasks; return the entry of ``results.json``, and the scholar after the first task.

        Tasks that an interrupted run has learned are not learned again.

        first: the scholar of another method after the first task, if there is one
        """
        done: list[dict[str, Any]] = []
        scholar: Scholar | None = None
        after_first: Scholar | None = None
        for index in [len(self.tasks) - 1] if self._method.joint else range(len(self.tasks)):
            if self._figures_file(index).is_file():
                done.append(files.read_json(self._figures_file(index)))
                scholar = Scholar.load(self._scholar_folder(index), self.recipe.compute)
            else:
                reset_peak_memory()
                scholar, figures = self._learn_task(index, scholar, first)
                done.append(figures)
            self.callbacks.on_row(self._position(index), done[-1]["row"])
            if index == 0:
                after_first = scholar
        rows = [figures["row"] for figures in done]
        class_rows = [figures["class_row"] for figures in done]
        return {
            "seed": self.seed,
            "method": self.name,
            "accuracy": rows,
            "average_accuracy": average_accuracy(rows),
            "mean_class_accuracy": class_rows,
            "average_mean_class_accuracy": average_accuracy(class_rows),
            "forgetting": forgetting(rows),
            "backward_transfer": backward_transfer(rows),
            "forward_transfer": None if self._method.joint else self._forward_transfer(done),
            "learning_accuracy": learning_accuracy(rows),
            "seconds": round(sum(figures["seconds"] for figures in done), 3),
            "seconds_per_task": [figures["seconds"] for figures in done],
            "peak_memory_mb": max(figures["peak"] for figures in done),
            "kept_bytes": max(figures["kept"] for figures in done),
            "images_generated": sum(figures["dreamt"] for figures in done),
            "plans": [figures["plan"] for figures in done],
        }, after_first

    def _past(self, index: int) -> Past:
        """Return what is replayed for the tasks before ``index``."""
        return self._method.past(self.tasks[:index], self.recipe.buffer, self.seed)

    def _learn_task(
        self, index: int, previous: Scholar | None, first: Scholar | None
    ) -> tuple[Scholar, dict[str, Any]]:
        """Learn, evaluate, audit and save one task; return the scholar and the task's figures."""
        recipe, replay = self.recipe, self.name == "replay"
        if index == 0 and first and not replay and not self._method.joint and not self.backbone:
            # Without a past the methods do not differ: one solver serves them all, and its cost counts for each.
            scholar, seconds = replace(first, generator=None, ood=None), first.lineage[0].seconds["solver"]
        else:
            scholar, seconds = self._learn(index, previous)
        evaluations = [self._evaluate(scholar, task) for task in self.tasks[: index + 1]]
        if index + 1 == len(self.tasks):
            save_evaluation(self.out, self.seed, self.name, concat(evaluations), scholar.classes)
        if replay and recipe.audit.dreams:
            session = Session(None, partial(self.callbacks.on_tick, self._position(index)), self.callbacks.stopping)
            found = audit(scholar, self.tasks[: index + 1], seed=self.seed, session=session)
            scholar = scholar.with_audit(found)
            for warning in found.warnings:
                self.callbacks.on_note(self._position(index), f"warning: {warning}")
        if recipe.export_dreams and replay and previous and self.seed == recipe.seeds[0]:
            bank = dream_bank(previous, planned_settings(scholar).replay, self.seed)
            write_image_folder(self.out / "dreams" / str(index), [(bank.inputs, bank.labels)], previous.classes)
        files.remove_stale_temps(self._scholar_folder(index))
        scholar.save(self._scholar_folder(index))
        figures = {
            "row": [evaluation.accuracy for evaluation in evaluations],
            "class_row": [evaluation.mean_class_accuracy for evaluation in evaluations],
            "ahead": self._accuracy_ahead(scholar, index),
            "seconds": round(seconds, 3),
            "peak": round(peak_memory_mb(), 1),
            "kept": self._kept_bytes(scholar, index),
            "dreamt": scholar.lineage[-1].dreamt,
            "plan": scholar.lineage[-1].plan,
        }
        files.write_json(self._figures_file(index), figures)
        shutil.rmtree(self._checkpoints(index), ignore_errors=True)
        return scholar, figures

    def _learn(self, index: int, previous: Scholar | None) -> tuple[Scholar, float]:
        """Return the scholar after task ``index``, and how many seconds learning it took."""
        settings, looking = self.recipe.settings(), self.tasks[index].look_seconds
        if self._method.joint:
            looking = sum(task.look_seconds for task in self.tasks)
        if self._method.joint and not self.backbone:
            settings = _joint_settings(settings, self.tasks)
        folder = self._checkpoints(index)
        session = Session(folder, partial(self._on_tick, index), self.callbacks.stopping, self.save_every)
        seconds: dict[str, float] = {}
        with stage_timer(folder.with_name(f"{folder.name}-spent.json"), session, seconds, "seconds") as timed:
            scholar = learn(
                self.tasks[index],
                previous,
                settings=settings,
                seed=self.seed,
                past=self._past(index),
                session=timed,
                backbone=self.backbone,
            )
        return scholar, seconds["seconds"] + looking

    def _evaluate(self, scholar: Scholar, task: Task) -> Evaluation:
        return evaluate(scholar, task, among=task.classes if self.recipe.scenario == "task" else None)

    def _accuracy_ahead(self, scholar: Scholar, index: int) -> float | None:
        """Return the accuracy on the next task before it is learned; None where it brings an unknown class."""
        if index + 1 >= len(self.tasks) or set(self.tasks[index + 1].classes) - set(scholar.classes):
            return None
        return self._evaluate(scholar, self.tasks[index + 1]).accuracy

    def _forward_transfer(self, done: Sequence[Mapping[str, Any]]) -> float | None:
        known: dict[str, None] = {}
        chance = []
        for before, task in pairwise(self.tasks):
            known |= dict.fromkeys(before.classes)
            chance.append(1 / len(task.classes if self.recipe.scenario == "task" else known))
        return forward_transfer([figures["ahead"] for figures in done[:-1]], chance)

    def _kept_bytes(self, scholar: Scholar, index: int) -> int:
        """Return the bytes kept for learning the next task: the scholar, and real data. After the last task: 0.

        `joint` learns once, after the last task: it keeps all data until then.
        """
        last = index + 1 == len(self.tasks)
        stored: Past = (self.tasks if self._method.joint else ()) if last else self._past(index + 1)
        images = 0 if isinstance(stored, str) else sum(len(task.train) * task.image_bytes for task in stored)
        return images + (0 if last else scholar.nbytes)

    def _on_tick(self, index: int, tick: Tick) -> None:
        files.append_json(self.out / "metrics.jsonl", {**asdict(self._position(index)), **asdict(tick)})
        self.callbacks.on_tick(self._position(index), tick)

    @property
    def _method(self) -> Method:
        return METHODS[self.name]

    def _position(self, index: int) -> Position:
        return Position(self.seed, self.name, self.tasks[index].name)

    def _work_path(self, index: int, suffix: str = "") -> Path:
        return self.out / "work" / f"{self.seed}-{self.name}-{index + 1}{suffix}"

    def _figures_file(self, index: int) -> Path:
        """Return where the figures of a task are kept; the file says that the task is done."""
        return self._work_path(index, ".json")

    def _checkpoints(self, index: int) -> Path:
        return self._work_path(index, "-checkpoints")

    def _scholar_folder(self, index: int) -> Path:
        """Return where a scholar is kept: those of the first seed's replay for good, others until the run is done."""
        keep = self.name == "replay" and self.seed == self.recipe.seeds[0]
        return self.out / "scholars" / str(index + 1) if keep else self._work_path(index)


def _joint_settings(settings: Settings, tasks: Sequence[Task]) -> Settings:
    """Return the settings of `joint`.

    It takes as many steps as the other methods over the whole stream, and draws every class equally often, whatever
    share replay gives to new data.
    """
    plans = [plan_settings(settings, Facts(len(task.train))) for task in tasks]
    steps = sum(planned(plan.image_solver.steps) for plan in plans)
    solver = settings.image_solver.model_copy(update={"steps": steps})
    replay = settings.replay.model_copy(update={"ratio": "auto"})
    return settings.model_copy(update={"solver": solver, "replay": replay})
