"""Every kind of generator at equal cost: what is the best memory that so many minutes of training buy?

python benchmarks/generators.py --data-dir DIR [--kinds flow wgan-gp ...] [--sets mnist svhn] [--minutes 1 3 6]

For each it trains the generator alone for a budget of wall-clock time, draws a bank of 20,000 dreams, and teaches a
fresh solver from them alone; and another one from dreams of the first half of the classes and real images of the rest.
Settings are chosen by the column "validation", a tenth of the training data that nothing was trained on; "test" is the
real test part. Writes docs/generators.md and docs/images/generators.png. Rows are kept in
benchmarks/measured and not measured twice: remove one to measure it anew.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from scholars import Scholar, learn, open_task, store
from scholars.compute import open_fabric
from scholars.environment import environment
from scholars.evaluate import accuracy
from scholars.evaluate.likeness import covered, frechet_distance
from scholars.fitting import Session
from scholars.generator_settings import GeneratorSettings
from scholars.generators import Generator
from scholars.inspecting import parameters
from scholars.replay import Augmented, Mix, Pool, Source
from scholars.settings import Settings
from scholars.tasks import Task
from scholars.teaching import teach_generator, teach_solver

DOCS = Path(__file__).parent.parent / "docs"
DREAMS = 20_000
LOOKED_AT = 4_000
COLUMNS = {
    "data": "data",
    "kind": "generator",
    "minutes": "minutes",
    "steps": "steps",
    "validation": "validation %",
    "test": "test %",
    "beside": "beside real, test %",
    "teacher": "teacher, test %",
    "frechet": "Frechet",
    "precision": "precision",
    "recall": "recall",
    "speed": "dreams/s",
    "parameters": "parameters",
    "megabytes": "MB",
}


def parted(task: Task) -> tuple[Task, Task]:
    """The task without a tenth of its training data, and a task whose test part is that tenth."""
    order = np.random.default_rng(0).permutation(len(task.train))
    held, kept = np.split(order, [len(order) // 10])
    return replace(task, train=task.train[kept]), replace(task, test=task.train[held])


def with_steps(settings: Settings, kind: str, steps: int) -> Settings:
    chosen = settings.generator.kinds()[kind].model_copy(update={"steps": steps})
    generator = GeneratorSettings.model_validate({"kind": kind, kind: chosen})
    return settings.model_copy(update={"generator": generator})


def train(pool: Pool, teacher: Scholar, settings: Settings) -> tuple[Generator, float]:
    began = time.perf_counter()
    fabric = open_fabric(settings.compute)
    generator = teach_generator(pool, None, len(teacher.conditions), settings, 0, fabric, Session())
    return generator, time.perf_counter() - began


def measure(kind: str, minutes: float, task: Task, validation: Task, teacher: Scholar) -> dict[str, Any]:
    # Not the settings that the teacher was learned with: a kept one may know other defaults.
    settings = Settings(image=teacher.settings.image)
    pool = Pool.of(task.train, range(len(task.classes)), len(task.classes))
    train(pool, teacher, with_steps(settings, kind, 5))
    _, seconds = train(pool, teacher, with_steps(settings, kind, 40))
    settings = with_steps(settings, kind, max(1, round(60 * minutes / (seconds / 40))))
    generator, seconds = train(pool, teacher, settings)
    scholar = replace(teacher, generator=generator, settings=settings)
    began = time.perf_counter()
    images, targets = scholar.dream(DREAMS)
    speed = DREAMS / (time.perf_counter() - began)
    dreamt = Pool(images, targets, len(scholar.classes))
    pupil = taught(scholar, dreamt, settings.solver.steps)
    beside = taught(scholar, halves(dreamt, pool), settings.solver.steps // 2)
    seen = scholar.features(images[:LOOKED_AT])
    real = scholar.features(torch.from_numpy(task.test.images[:LOOKED_AT]))
    return {
        "data": task.name,
        "kind": kind,
        "minutes": minutes,
        "seconds": round(seconds, 1),
        "steps": settings.generator.chosen.steps,
        "validation": round(100 * accuracy(pupil, validation), 2),
        "test": round(100 * accuracy(pupil, task), 2),
        "beside": round(100 * accuracy(beside, task), 2),
        "teacher": round(100 * accuracy(teacher, task), 2),
        "frechet": round(frechet_distance(seen, real), 2),
        "precision": round(covered(seen, by=real), 3),
        "recall": round(covered(real, by=seen), 3),
        "speed": round(speed),
        "parameters": parameters(generator),
        "megabytes": round(sum(4 * value.numel() for value in generator.state_dict().values()) / 1e6, 1),
        "settings": settings.generator.chosen.model_dump(mode="json"),
    }


def taught(scholar: Scholar, source: Source, steps: int) -> Scholar:
    """The scholar with a fresh solver, taught by what is drawn from ``source``."""
    settings, known = scholar.settings, len(scholar.classes)
    settings = settings.model_copy(update={"solver": settings.solver.model_copy(update={"steps": steps})})
    varied = Augmented(source, settings.solver.shift)
    solver = teach_solver(varied, None, known, settings, 0, open_fabric(settings.compute), Session())
    return replace(scholar, solver=solver)


def halves(dreamt: Pool, real: Pool) -> Source:
    """What replay is like when a task brings new classes: the first half of them dreamt, the others real."""
    half = dreamt.classes // 2
    old, new = dreamt.targets.argmax(1) < half, real.targets >= half
    parts = [(pool.images[keep], pool.targets[keep]) for pool, keep in ((dreamt, old), (real, new))]
    return Mix([(0.5, Pool(images, targets, dreamt.classes)) for images, targets in parts])


def shown(row: dict[str, Any], column: str) -> str:
    return f"{row[column]:,}" if column in ("steps", "speed", "parameters") else str(row[column])


def write(rows: list[dict[str, Any]], machine: dict[str, Any]) -> None:
    rows = sorted(rows, key=lambda row: (row["data"], row["minutes"], -row["validation"]))
    # One budget is no curve.
    drawn = len({row["minutes"] for row in rows}) > 1
    lines = [
        "# The generators, at equal cost",
        "",
        "Each generator is trained alone, with its default settings, for so many minutes of wall-clock time; a fresh",
        f"solver then learns from {DREAMS:,} of its dreams and nothing else (classification accuracy score, Ravuri &",
        "Vinyals 2019), their labels being the probabilities that the teacher, a solver trained on the real data,",
        "gives them. *Beside real* is the same for a solver that learns, in half as many steps, from dreams of the",
        "first half of the classes and real images of the others, as in a stream whose tasks bring new classes: it",
        "falls where a network can tell dreams from real images. Settings and default were chosen by the validation",
        "column: a tenth of the training data, never trained on. Frechet distance, precision and recall are in the",
        "teacher's features, against real test images.",
        "",
        "Made by `python benchmarks/generators.py --data-dir DIR`, seed 0, on: "
        f"{machine['processor']}, {machine['threads']} threads, {machine['precision']}, "
        f"torch {machine['packages']['torch']}.",
        "",
        *(["![The scores over the minutes](images/generators.png)", ""] if drawn else []),
        "| " + " | ".join(COLUMNS.values()) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(shown(row, key) for key in COLUMNS) + " |" for row in rows),
    ]
    (DOCS / "generators.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if drawn:
        draw(rows)


def draw(rows: list[dict[str, Any]]) -> None:
    sets = sorted({row["data"] for row in rows})
    figure, axes = plt.subplots(1, len(sets), figsize=(5 * len(sets), 3.6), squeeze=False, layout="constrained")
    for axis, data in zip(axes[0], sets, strict=True):
        for kind in GeneratorSettings().kinds():
            points = [(row["minutes"], row["test"]) for row in rows if (row["data"], row["kind"]) == (data, kind)]
            if points:
                axis.plot(*zip(*sorted(points), strict=True), marker="o", label=kind)
        teacher = next(row["teacher"] for row in rows if row["data"] == data)
        axis.axhline(teacher, color="grey", linestyle=":", label="the teacher")
        axis.set(title=data, xlabel="minutes of training", ylabel="solver from dreams alone, test %")
        axis.set_ylim(bottom=max(axis.get_ylim()[0], 60))
        axis.grid(alpha=0.3)
    axes[0][-1].legend(frameon=False)
    figure.savefig(DOCS / "images" / "generators.png", dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--kinds", nargs="+", default=list(GeneratorSettings().kinds()))
    parser.add_argument("--sets", nargs="+", default=["mnist", "svhn"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 3, 6])
    parser.add_argument("--out", type=Path, default=Path("runs/generators"))
    options = parser.parse_args()
    kept = Path(__file__).parent / "measured" / "generators.json"
    rows: list[dict[str, Any]] = store.read_json(kept)["rows"] if kept.is_file() else []
    machine = environment(Settings().compute)
    for minutes in options.minutes:
        for name in options.sets:
            task = open_task(name, data_dir=options.data_dir)
            task, validation = parted(task.resized(Settings().image.channels, Settings().image.size))
            if (options.out / name).is_dir():
                teacher = Scholar.load(options.out / name)
            else:
                teacher = learn(task, past=[])
                teacher.save(options.out / name)
            for kind in options.kinds:
                if any((row["data"], row["kind"], row["minutes"]) == (name, kind, minutes) for row in rows):
                    continue
                rows.append(measure(kind, minutes, task, validation, teacher))
                print(json.dumps(rows[-1]), flush=True)
                store.write_json(kept, {"rows": rows})
                write(rows, machine)
    write(rows, machine)


if __name__ == "__main__":
    main()
