"""Every kind of generator at equal cost: what is the best memory that so many minutes of training buy?

python benchmarks/generators.py --data-dir DIR [--kinds flow wgan-gp ...] [--sets mnist svhn] [--minutes 1 3 6]

For each it trains the generator alone for a budget of time, draws a bank of 20,000 dreams, and teaches a fresh solver
from them alone; and another one from dreams of the first half of the classes and real images of the rest. Settings are
chosen by the column "validation", a tenth of the training data that nothing was trained on; "test" is the real test
part. Writes docs/generators.md and docs/images/generators.png.

How many steps a minute is of is measured first, with nothing beside it (--pace measures no more than that). After
that nothing is timed but how fast it dreams, and several of these may run at once, each with its own --sets. Rows are
kept in benchmarks/measured and not measured twice: remove one to measure it anew.
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
from scholars.generator_settings import GeneratorSettings
from scholars.generators import Generator
from scholars.inspecting import parameters
from scholars.replay import Augmented, Mix, Pool, Source
from scholars.settings import Settings
from scholars.tasks import Task
from scholars.teaching import teach_generator, teach_solver

DOCS = Path(__file__).parent.parent / "docs"
MEASURED = Path(__file__).parent / "measured"
SETS = ("mnist", "svhn")
# What a pupil learns in is enough for the data, and no more: what counts are the dreams.
PUPIL_STEPS = {"mnist": 300, "svhn": 600}
DREAMS = 20_000
LOOKED_AT = 4_000
BESIDE_STEPS = 200
# Steps that are timed, after some to warm up: 1.5 to 6 seconds.
WARM_UP, TIMED = 5, 60
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


def train(pool: Pool, kind: str, steps: int) -> Generator:
    settings = with_steps(Settings(), kind, steps)
    return teach_generator(
        pool, conditions=pool.classes, settings=settings, seed=0, fabric=open_fabric(settings.compute)
    )


def pace(kind: str, task: Task) -> float:
    """Steps a minute."""
    pool = pool_of(task)
    train(pool, kind, WARM_UP)
    began = time.perf_counter()
    train(pool, kind, TIMED)
    return 60 * TIMED / (time.perf_counter() - began)


def pool_of(task: Task) -> Pool:
    return Pool.of(task.train, range(len(task.classes)), len(task.classes))


def measure(kind: str, steps: int, task: Task, validation: Task, teacher: Scholar) -> dict[str, Any]:
    pool = pool_of(task)
    generator = train(pool, kind, steps)
    scholar = replace(teacher, generator=generator, settings=with_steps(Settings(), kind, steps))
    began = time.perf_counter()
    images, targets = scholar.dream(DREAMS)
    speed = DREAMS / (time.perf_counter() - began)
    dreamt = Pool(images, targets, len(scholar.classes))
    pupil = taught(scholar, dreamt, PUPIL_STEPS[task.name])
    beside = taught(scholar, halves(dreamt, pool), BESIDE_STEPS)
    seen = scholar.features(images[:LOOKED_AT])
    real = scholar.features(torch.from_numpy(task.test.images[:LOOKED_AT]))
    return {
        "steps": steps,
        "validation": round(100 * accuracy(pupil, validation), 2),
        "test": round(100 * accuracy(pupil, task), 2),
        "beside": round(100 * accuracy(beside, task), 2),
        "teacher": round(100 * accuracy(teacher, task), 2),
        "frechet": round(frechet_distance(seen, real), 2),
        "precision": round(covered(seen, by=real), 3),
        "recall": round(covered(real, by=seen), 3),
        "speed": round(speed),
        "threads": torch.get_num_threads(),
        "parameters": parameters(generator),
        "megabytes": round(sum(4 * value.numel() for value in generator.state_dict().values()) / 1e6, 1),
        "settings": scholar.settings.generator.chosen.model_dump(mode="json"),
    }


def taught(scholar: Scholar, source: Source, steps: int) -> Scholar:
    """The scholar with a fresh solver, taught by what is drawn from ``source``."""
    settings, known = scholar.settings, len(scholar.classes)
    settings = settings.model_copy(update={"solver": settings.solver.model_copy(update={"steps": steps})})
    varied = Augmented(source, shift=settings.solver.shift)
    solver = teach_solver(varied, classes=known, settings=settings, seed=0, fabric=open_fabric(settings.compute))
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
        "Each generator is trained alone, with its default settings, for as many steps as this machine does in so",
        "many minutes with two threads and nothing beside. A fresh solver then learns from "
        f"{DREAMS:,} of its dreams and",
        f"nothing else ({PUPIL_STEPS['svhn']} steps, {PUPIL_STEPS['mnist']} of MNIST; classification accuracy score, "
        "Ravuri & Vinyals 2019), their labels",
        "being the probabilities that the teacher, a solver trained on the real data, gives them. *Beside real* is",
        f"the same for a solver that learns, in {BESIDE_STEPS} steps, from dreams of the first half of the classes and",
        "real images of the others, as in a stream whose tasks bring new classes: it falls where a network can tell",
        "dreams from real images. Settings and default were chosen by the validation column: a tenth of the training",
        "data, never trained on.",
        "Frechet distance, precision and recall are in the teacher's features, against real test images. A line that",
        "leaves the picture at its lower edge has collapsed: its figures are in the table.",
        "",
        "Made by `python benchmarks/generators.py --data-dir DIR`, seed 0, on: "
        f"{machine['processor']}, {machine['precision']}, torch {machine['packages']['torch']}; dreams a second by "
        f"{', '.join(map(str, sorted({row['threads'] for row in rows})))} thread(s), labels included, other trainings "
        "beside.",
        "",
        *(["![What dreams teach, over the minutes of training](images/generators.png)", ""] if drawn else []),
        "| " + " | ".join(COLUMNS.values()) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(shown(row, key) for key in COLUMNS) + " |" for row in rows),
    ]
    (DOCS / "generators.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if drawn:
        draw(rows)


def draw(rows: list[dict[str, Any]]) -> None:
    sets = sorted({row["data"] for row in rows})
    seen = {"test": "dreams alone", "beside": "dreams beside real images"}
    figure, axes = plt.subplots(
        len(seen), len(sets), figsize=(5 * len(sets), 3 * len(seen)), squeeze=False, sharex=True, layout="constrained"
    )
    for (score, what), line in zip(seen.items(), axes, strict=True):
        for axis, data in zip(line, sets, strict=True):
            for kind in GeneratorSettings().kinds():
                points = [(row["minutes"], row[score]) for row in rows if (row["data"], row["kind"]) == (data, kind)]
                if points:
                    axis.plot(*zip(*sorted(points), strict=True), marker="o", label=kind)
            teacher = next(row["teacher"] for row in rows if row["data"] == data)
            axis.axhline(teacher, color="grey", linestyle=":", label="the teacher")
            scores = [row[score] for row in rows if row["data"] == data]
            # One that collapsed would flatten all others: it leaves the picture, and stays in the table.
            worst = teacher - 10 * (teacher - float(np.median(scores)))
            least = min(one for one in scores if one >= worst)
            axis.set_ylim(least - 0.1 * (teacher - least), teacher + 0.1 * (teacher - least))
            axis.grid(alpha=0.3)
        line[0].set_ylabel(f"{what}, test %")
    for data, above, below in zip(sets, axes[0], axes[-1], strict=True):
        above.set_title(data)
        below.set(xlabel="minutes of training", xticks=sorted({row["minutes"] for row in rows}))
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False)
    figure.savefig(DOCS / "images" / "generators.png", dpi=130)


def kept_of(name: str) -> dict[str, Any]:
    """What was measured of a data set: steps a minute by kind, and rows."""
    path = MEASURED / f"generators-{name}.json"
    return store.read_json(path) if path.is_file() else {"pace": {}, "rows": []}


def teacher_of(task: Task, folder: Path) -> Scholar:
    """A scholar whose solver learned from the real data; its generator is not asked, and therefore not trained."""
    if not folder.is_dir():
        learn(task, past=[], settings=with_steps(Settings(), Settings().generator.kind, 1)).save(folder)
    return Scholar.load(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--kinds", nargs="+", default=list(GeneratorSettings().kinds()))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 3, 6])
    parser.add_argument("--pace", action="store_true", help="measure steps a minute, and end")
    parser.add_argument("--out", type=Path, default=Path("runs/generators"))
    options = parser.parse_args()
    parts = {}
    for name in options.sets:
        task = open_task(name, data_dir=options.data_dir)
        parts[name] = parted(task.resized(Settings().image.channels, Settings().image.size))
        kept = kept_of(name)
        for kind in options.kinds:
            if kind not in kept["pace"]:
                kept["pace"][kind] = round(pace(kind, parts[name][0]))
                print(f"{name}, {kind}: {kept['pace'][kind]:,} steps a minute", flush=True)
        store.write_json(MEASURED / f"generators-{name}.json", kept)
    if options.pace:
        return
    for minutes in options.minutes:
        for name, (task, validation) in parts.items():
            teacher = teacher_of(task, options.out / name)
            for kind in options.kinds:
                kept = kept_of(name)
                if any((row["kind"], row["minutes"]) == (kind, minutes) for row in kept["rows"]):
                    continue
                found = measure(kind, max(1, round(minutes * kept["pace"][kind])), task, validation, teacher)
                kept["rows"].append({"data": name, "kind": kind, "minutes": minutes, **found})
                print(json.dumps(kept["rows"][-1]), flush=True)
                store.write_json(MEASURED / f"generators-{name}.json", kept)
                write([row for each in SETS for row in kept_of(each)["rows"]], environment(Settings().compute))
    write([row for each in SETS for row in kept_of(each)["rows"]], environment(Settings().compute))


if __name__ == "__main__":
    main()
