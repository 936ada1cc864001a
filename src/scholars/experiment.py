"""A recipe becomes scholars, brackets and ``results.json``.

Every (seed, method) learns the stream task by task. What is done is kept in the run's folder after each task, so a run
that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from scholars import store
from scholars.auditing import audit
from scholars.config import Method, Recipe
from scholars.dreams import check_replay, dream_bank
from scholars.environment import environment, peak_memory_mb, restart_peak_memory
from scholars.errors import InputError, ScholarsWarning
from scholars.evaluate import (
    Judged,
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    judge,
    learning_accuracy,
    summary,
    together,
)
from scholars.fitting import SAVE_EVERY, Session, Tick
from scholars.gallery import write_image_folder
from scholars.keepsakes import keep_judged, keep_samples
from scholars.learning import Replayed, learn
from scholars.records import Audit
from scholars.scholar import Scholar
from scholars.streams import open_stream
from scholars.tasks import Task
from scholars.undertaking import alone, check_folder, timed

SCHEMA = 1
# What of an environment figures depend on.
_LIKE = ("processor", "processes", "threads", "device", "precision", "packages")


@dataclass(frozen=True)
class Place:
    """Where in an experiment something happens."""

    seed: int
    method: Method
    task: str


@dataclass(frozen=True)
class Watch:
    """Who is told what during an experiment.

    on_tick: training progress
    on_row: the accuracies after a task, one per task so far; also of tasks that an interrupted run had learned before
    on_note: what its owner should know: one sentence each
    stopping: True asks the experiment to stop; it can be resumed
    """

    on_tick: Callable[[Place, Tick], None] = field(default=lambda place, tick: None)
    on_row: Callable[[Place, Sequence[float]], None] = field(default=lambda place, row: None)
    on_note: Callable[[Place, str], None] = field(default=lambda place, note: None)
    stopping: Callable[[], bool] = field(default=lambda: False)


def run(
    recipe: Recipe,
    out: str | Path,
    *,
    data_dir: str | Path | None = None,
    resume: bool = False,
    command: str | None = None,
    watch: Watch | None = None,
    save_every: float = SAVE_EVERY,
) -> dict[str, Any]:
    """Run ``recipe`` in the folder ``out`` and return what it wrote there as ``results.json``.

    resume: go on with the run that is in ``out``; without it, a folder that holds anything is refused
    command: how to repeat the run, kept in the results
    save_every: seconds between checkpoints of the unfinished work

    Raises InputError, with nothing written, for bad input or while another process runs it; Interrupted when stopped.
    """
    one = _Run(recipe, Path(out), data_dir, resume, command, watch or Watch(), save_every)
    with alone(one.out, "running what is in"):
        return one.go()


def is_done(out: Path) -> bool:
    """Whether the folder ``out`` holds a run that has come to its end."""
    return (out / "results.json").is_file() and not (out / "work").is_dir()


class _Run:
    """One run in its folder: ``run.json``, ``results.json``, ``scholars/``, and ``work/`` while it is under way."""

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        data_dir: str | Path | None,
        resume: bool,
        command: str | None,
        watch: Watch,
        save_every: float,
    ) -> None:
        self.recipe, self.out, self.watch, self.command, self.save_every = recipe, out, watch, command, save_every
        self.work = out / "work"
        check_folder(out, "run", "run.json", recipe.model_dump(mode="json"), resume)
        self.data_dir = data_dir
        self.tasks = open_stream(recipe, recipe.seeds[0], data_dir)
        if "er" in recipe.methods:  # a buffer that is too small is refused before anything is trained
            self._past(recipe.seeds[0], "er", len(self.tasks) - 1)
        if "replay" in recipe.methods:
            check_replay(recipe.replay, recipe.generator, sum(len(task.classes) for task in self.tasks[:-1]))
        self.first: dict[int, Scholar] = {}

    def go(self) -> dict[str, Any]:
        store.clear_away(self.work)
        if is_done(self.out):
            return store.read_json(self.out / "results.json")
        # In this order: what is in the folder says at any time whose it is.
        self.out.mkdir(parents=True, exist_ok=True)
        store.write_json(self.out / "run.json", self.recipe.model_dump(mode="json"))
        self.work.mkdir(exist_ok=True)
        self._note_environment()
        keep_samples(self.out, self.tasks)
        runs: list[dict[str, Any]] = []
        for seed in self.recipe.seeds:
            if self.recipe.split and self.recipe.split.order == "seed":
                self.tasks = open_stream(self.recipe, seed, self.data_dir)
            for method in self.recipe.methods:
                runs.append(self._method(seed, method))
                store.write_json(self.out / "results.json", self._results(runs))
        store.discard(self.work)
        return self._results(runs)

    def _note_environment(self) -> None:
        """Warn where an interrupted run goes on elsewhere, or with other versions: its figures are of both."""
        note, here = self.work / "environment.json", environment(self.recipe.compute)
        before = store.read_json(note) if note.is_file() else here
        if other := [key for key in _LIKE if before[key] != here[key]]:
            words = "; ".join(f"{key} was {before[key]} and is {here[key]}" for key in other)
            warnings.warn(f"this run was begun otherwise, and its results are of both: {words}", ScholarsWarning, 2)
        store.write_json(note, here)

    def _method(self, seed: int, method: Method) -> dict[str, Any]:
        done: list[dict[str, Any]] = []
        scholar: Scholar | None = None
        for index in range(len(self.tasks)) if method != "joint" else [len(self.tasks) - 1]:
            folder = self._folder(seed, method, index)
            note = self.work / f"{seed}-{method}-{index + 1}.json"
            if note.is_file():
                done.append(store.read_json(note))
                scholar = Scholar.load(folder, self.recipe.compute)
                self.watch.on_row(Place(seed, method, self.tasks[index].name), done[-1]["row"])
            else:
                restart_peak_memory()
                scholar, seconds = self._learn(seed, method, index, scholar)
                judged = [self._judged(scholar, task) for task in self.tasks[: index + 1]]
                row = [one.accuracy for one in judged]
                if index + 1 == len(self.tasks):
                    keep_judged(self.out, seed, method, together(judged), scholar.classes)
                if method == "replay" and self.recipe.audit.dreams:
                    found = self._audit(seed, index, scholar)
                    scholar = scholar.audited(found)
                    for warning in found.warnings:
                        self.watch.on_note(Place(seed, method, self.tasks[index].name), f"warning: {warning}")
                store.clear_away(folder)
                scholar.save(folder)
                done.append(
                    {
                        "row": row,
                        "ahead": self._ahead(scholar, index),
                        "seconds": round(seconds, 3),
                        "peak": round(peak_memory_mb(), 1),
                        "kept": self._kept(scholar, seed, method, index),
                        "dreamt": scholar.lineage[-1].dreamt,
                    }
                )
                store.write_json(note, done[-1])
                shutil.rmtree(self._checkpoints(seed, method, index), ignore_errors=True)
                self.watch.on_row(Place(seed, method, self.tasks[index].name), row)
            if index == 0:
                self.first.setdefault(seed, scholar)
        rows = [entry["row"] for entry in done]
        return {
            "seed": seed,
            "method": method,
            "accuracy": rows,
            "average_accuracy": average_accuracy(rows),
            "forgetting": forgetting(rows),
            "backward_transfer": backward_transfer(rows),
            "forward_transfer": self._forward(done) if method != "joint" else None,
            "learning_accuracy": learning_accuracy(rows),
            "seconds": round(sum(entry["seconds"] for entry in done), 3),
            "seconds_per_task": [entry["seconds"] for entry in done],
            "peak_memory_mb": max(entry["peak"] for entry in done),
            "kept_bytes": max((entry["kept"] for entry in done), default=0),
            "images_generated": sum(entry["dreamt"] for entry in done),
        }

    def _judged(self, scholar: Scholar, task: Task) -> Judged:
        return judge(scholar, task, among=task.classes if self.recipe.scenario == "task" else None)

    def _ahead(self, scholar: Scholar, index: int) -> float | None:
        """The accuracy on the next task, before it is learned; None where it brings a class that is not known yet."""
        if index + 1 >= len(self.tasks) or set(self.tasks[index + 1].classes) - set(scholar.classes):
            return None
        return self._judged(scholar, self.tasks[index + 1]).accuracy

    def _forward(self, done: Sequence[Mapping[str, Any]]) -> float | None:
        known: dict[str, None] = {}
        chance = []
        for before, task in pairwise(self.tasks):
            known |= dict.fromkeys(before.classes)
            chance.append(1 / len(task.classes if self.recipe.scenario == "task" else known))
        return forward_transfer([entry["ahead"] for entry in done[:-1]], chance)

    def _kept(self, scholar: Scholar, seed: int, method: Method, index: int) -> int:
        """Bytes kept after task ``index`` for the next: the scholar, and real data. After the last task: none."""
        if index + 1 == len(self.tasks):
            return sum(len(task.train) * task.image_bytes for task in self.tasks) if method == "joint" else 0
        past = self._past(seed, method, index + 1)
        stored = () if isinstance(past, str) else past
        return scholar.nbytes + sum(len(task.train) * task.image_bytes for task in stored)

    def _past(self, seed: int, method: Method, index: int) -> Replayed:
        """What stands for the tasks before ``index``."""
        earlier = self.tasks[:index]
        match method:
            case "replay":
                return "dreams"
            case "lwf":
                return "new images"
            case "naive":
                return []
            case "er":
                known = sum(len(task.classes) for task in earlier)
                # The buffer is shared out evenly, and again whenever classes come: what each keeps was kept before.
                each = (self.recipe.buffer or 0) // max(1, known)
                if earlier and not each:
                    raise InputError(f"buffer={self.recipe.buffer} is less than an image for each of {known} classes")
                return [task.sampled(each, seed) for task in earlier]
            case "exact" | "joint":
                return earlier

    def _learn(self, seed: int, method: Method, index: int, previous: Scholar | None) -> tuple[Scholar, float]:
        """The scholar after task ``index``, and what learning it cost in seconds."""
        task, settings = self.tasks[index], self.recipe.settings()
        if index == 0 and seed in self.first and method not in ("replay", "joint"):
            # Without a past the methods do not differ: one solver serves them all, and its cost counts for each.
            first = self.first[seed]
            return replace(first, generator=None, familiarity=None), first.lineage[0].seconds["solver"]
        if method == "joint":
            # As many steps as the other methods take over the whole stream.
            solver = settings.solver.model_copy(update={"steps": settings.solver.steps * len(self.tasks)})
            # And every class as often as any other, whatever share replay gives to what is new.
            replay = settings.replay.model_copy(update={"ratio": "auto"})
            settings = settings.model_copy(update={"solver": solver, "replay": replay})
        past = self._past(seed, method, index)
        kept = self._checkpoints(seed, method, index)
        on_tick = self._ticker(Place(seed, method, task.name))
        session = Session(kept, on_tick, self.watch.stopping, self.save_every)
        seconds: dict[str, float] = {}
        with timed(kept.with_name(f"{kept.name}-spent.json"), session, seconds, "seconds") as noting:
            learned = learn(task, previous, settings=settings, seed=seed, past=past, session=noting)
        if self.recipe.export_dreams and method == "replay" and previous and seed == self.recipe.seeds[0]:
            bank = dream_bank(previous, settings.replay, seed)
            write_image_folder(self.out / "dreams" / str(index), [(bank.images, bank.labels)], previous.classes)
        return learned, seconds["seconds"]

    def _audit(self, seed: int, index: int, scholar: Scholar) -> Audit:
        place = Place(seed, "replay", self.tasks[index].name)
        session = Session(None, lambda tick: self.watch.on_tick(place, tick), self.watch.stopping)
        return audit(scholar, self.tasks[: index + 1], seed=seed, session=session)

    def _checkpoints(self, seed: int, method: Method, index: int) -> Path:
        return self.work / f"{seed}-{method}-{index + 1}-checkpoints"

    def _folder(self, seed: int, method: Method, index: int) -> Path:
        if method == "replay" and seed == self.recipe.seeds[0]:
            return self.out / "scholars" / str(index + 1)
        return self.work / f"{seed}-{method}-{index + 1}"

    def _ticker(self, place: Place) -> Callable[[Tick], None]:
        def on_tick(tick: Tick) -> None:
            store.append_json(self.out / "metrics.jsonl", {**asdict(place), **asdict(tick)})
            self.watch.on_tick(place, tick)

        return on_tick

    def _results(self, runs: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "recipe": self.recipe.name,
            "tasks": [task.name for task in self.tasks],
            "seeds": list(self.recipe.seeds),
            "generator": self.recipe.generator.kind,
            "runs": runs,
            "summary": summary(runs),
            "environment": {**environment(self.recipe.compute), "command": self.command},
            "config": self.recipe.model_dump(mode="json"),
        }
