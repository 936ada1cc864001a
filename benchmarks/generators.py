"""Every kind of generator at equal cost: which dreams teach most after so many minutes of training?

python benchmarks/generators.py --data-dir DIR [--kinds flow wgan-gp ...] [--sets mnist svhn] [--minutes 1 3 6]

For each it trains the generator alone for a budget of time, draws a bank of 20,000 dreams, and trains a fresh solver on
them alone; and another one on dreams of the first half of the classes and real images of the rest. Settings are chosen
by the column "validation", a tenth of the training data that nothing was trained on; "test" is the real test part.
Writes docs/generators.md and docs/images/generators.png; with `--minutes` and no number, from kept rows only.

How many steps a minute is of is measured first, with nothing beside it (--pace measures no more than that). After
that nothing is timed but how fast it dreams, and several of these may run at once, each with its own --sets. Rows are
kept in benchmarks/measured and not measured twice: remove one to measure it anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from measuring import pages

from scholars import Scholar, changed, learn, open_task
from scholars.compute.device import open_fabric
from scholars.evaluation.accuracy import accuracy
from scholars.evaluation.feature_metrics import frechet_distance, manifold_coverage
from scholars.generators import Generator
from scholars.inference.describe import count_parameters
from scholars.learning.networks import train_generator, train_solver
from scholars.settings import DEFAULT_GENERATOR, GENERATORS, Settings
from scholars.tasks.task import Task
from scholars.training.batches import Augmented, BatchSource, Mix, Pool

SETS = ("mnist", "svhn")
# Pixels by which the probe's images are shifted.
SHIFT = 2
# Steps of the solver that learns from dreams: enough for the data, and no more.
PROBE_STEPS = {"mnist": 300, "svhn": 600}
BESIDE_STEPS = 200
DREAMS = 20_000
# Dreams and test images whose features are compared.
COMPARED = 4_000
# Steps that are timed, after some to warm up: 1.5 to 6 seconds.
WARM_UP, TIMED = 5, 60
HEADS = (
    "data | generator | minutes | steps | validation % | test % | beside real, test % | teacher, test % | "
    "Frechet | precision | recall | dreams/s | parameters | MB"
)
KEYS = (
    *("data", "kind", "minutes", "steps", "validation", "test", "beside", "teacher"),
    *("frechet", "precision", "recall", "speed", "parameters", "megabytes"),
)


def split_validation(task: Task) -> tuple[Task, Task]:
    """Return the task without a tenth of its training data, and a task whose test part is that tenth."""
    order = np.random.default_rng(0).permutation(len(task.train))
    held, kept = np.split(order, [len(order) // 10])
    return replace(task, train=task.train[kept]), replace(task, test=task.train[held])


def settings_of(kind: str, steps: int) -> Settings:
    return changed(Settings(), {"generator.kind": kind, "generator.steps": steps})


def train(pool: Pool, kind: str, steps: int) -> Generator:
    settings = settings_of(kind, steps)
    fabric = open_fabric(settings.compute)
    return train_generator(pool, conditions=pool.classes, settings=settings, seed=0, fabric=fabric)


def pace(kind: str, task: Task) -> float:
    """Return steps a minute."""
    pool = real_pool(task)
    train(pool, kind, WARM_UP)
    began = time.perf_counter()
    train(pool, kind, TIMED)
    return 60 * TIMED / (time.perf_counter() - began)


def real_pool(task: Task) -> Pool:
    return Pool.of(task.train, range(len(task.classes)), len(task.classes))


def measure(kind: str, steps: int, task: Task, validation: Task, teacher: Scholar) -> dict[str, Any]:
    pool = real_pool(task)
    generator = train(pool, kind, steps)
    scholar = replace(teacher, generator=generator, settings=settings_of(kind, steps))
    began = time.perf_counter()
    images, targets = scholar.dream(DREAMS)
    speed = DREAMS / (time.perf_counter() - began)
    dreams = Pool(images, targets, len(scholar.classes))
    probe = train_probe(scholar, dreams, PROBE_STEPS[task.name])
    beside = train_probe(scholar, dreams_beside_real(dreams, pool), BESIDE_STEPS)
    dreamt = scholar.features_and_logits(images[:COMPARED])[0]
    real = scholar.features_and_logits(torch.from_numpy(task.test.images[:COMPARED]))[0]
    return {
        "steps": steps,
        "validation": round(100 * accuracy(probe, validation), 2),
        "test": round(100 * accuracy(probe, task), 2),
        "beside": round(100 * accuracy(beside, task), 2),
        "teacher": round(100 * accuracy(teacher, task), 2),
        "frechet": round(frechet_distance(dreamt, real), 2),
        "precision": round(manifold_coverage(dreamt, by=real), 3),
        "recall": round(manifold_coverage(real, by=dreamt), 3),
        "speed": round(speed),
        "threads": torch.get_num_threads(),
        "parameters": count_parameters(generator),
        "megabytes": round(sum(4 * value.numel() for value in generator.state_dict().values()) / 1e6, 1),
        "settings": scholar.settings.generator.model_dump(mode="json"),
    }


def train_probe(scholar: Scholar, source: BatchSource, steps: int) -> Scholar:
    """Return the scholar with a fresh solver, trained on ``source``."""
    settings = changed(scholar.settings, {"solver.steps": steps})
    fabric, augmented = open_fabric(settings.compute), Augmented(source, shift=SHIFT)
    solver = train_solver(augmented, classes=len(scholar.classes), settings=settings, seed=0, fabric=fabric)
    return replace(scholar, solver=solver)


def dreams_beside_real(dreams: Pool, real: Pool) -> BatchSource:
    """Mix as replay does when a task brings new classes: the first half of them dreamt, the others real."""
    half = dreams.classes // 2
    old, new = dreams.targets.argmax(1) < half, real.targets >= half
    parts = [(pool.inputs[keep], pool.targets[keep]) for pool, keep in ((dreams, old), (real, new))]
    return Mix([(0.5, Pool(images, targets, dreams.classes)) for images, targets in parts])


def write(documents: Sequence[dict[str, Any]]) -> None:
    """Write the page, and its picture where several budgets were measured."""
    rows = [row for document in documents for row in document["rows"]]
    rows.sort(key=lambda row: (row["data"], row["minutes"], -row["validation"]))
    threads = ", ".join(map(str, sorted({row["threads"] for row in rows})))
    drawn = len({row["minutes"] for row in rows}) > 1
    grouped = ("steps", "speed", "parameters")
    lines = [
        "# The generators, at equal cost",
        "",
        f"Each generator is trained alone, with the default settings of {documents[0]['date']} (kept with the rows), "
        "for as many steps as this machine does in so",
        "many minutes with two threads and nothing beside. A fresh solver then learns from "
        f"{DREAMS:,} of its dreams and",
        f"nothing else ({PROBE_STEPS['svhn']} steps, {PROBE_STEPS['mnist']} of MNIST; classification accuracy score, "
        "Ravuri & Vinyals 2019), their labels",
        "being the probabilities that the teacher, a solver trained on the real data, gives them. *Beside real* is",
        f"the same for a solver that learns, in {BESIDE_STEPS} steps, from dreams of the first half of the classes and",
        "real images of the others, as in a stream whose tasks bring new classes: it falls where a network can tell",
        "dreams from real images. Settings and default were chosen by the validation column: a tenth of the training",
        "data, never trained on.",
        "Frechet distance, precision and recall are in the teacher's features, against real test images. A line that",
        "leaves the picture at its lower edge has collapsed: its figures are in the table.",
        "All of this is of pixels. [Photographs](photographs.md#which-generator) compares the generators of features: "
        "`mixture`, which draws nothing else, and `flow`, `vae`",
        "and `wgan-gp` with fully connected networks (`generator.net=auto` chooses them there).",
        "",
        "Made by `python benchmarks/generators.py --data-dir DIR`, seed 0, on: "
        f"{pages.describe_machine(documents[0], 'precision')}; dreams a second by {threads} thread(s), labels "
        "included, other trainings beside.",
        "",
        *(["![What dreams teach, over the minutes of training](images/generators.png)", ""] if drawn else []),
        *pages.table(
            HEADS,
            ([f"{row[key]:,}" if key in grouped else row[key] for key in KEYS] for row in rows),
        ),
    ]
    pages.write_page("generators", lines)
    if drawn:
        draw(rows)


def draw(rows: list[dict[str, Any]]) -> None:
    sets = sorted({row["data"] for row in rows})
    scores = {"test": "dreams alone", "beside": "dreams beside real images"}
    figure, axes = plt.subplots(
        len(scores),
        len(sets),
        figsize=(5 * len(sets), 3 * len(scores)),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for (score, what), line in zip(scores.items(), axes, strict=True):
        for axis, data in zip(line, sets, strict=True):
            for kind in GENERATORS:
                points = [(row["minutes"], row[score]) for row in rows if (row["data"], row["kind"]) == (data, kind)]
                if points:
                    axis.plot(*zip(*sorted(points), strict=True), marker="o", label=kind)
            teacher = next(row["teacher"] for row in rows if row["data"] == data)
            axis.axhline(teacher, color="grey", linestyle=":", label="the teacher")
            values = [row[score] for row in rows if row["data"] == data]
            # One that collapsed would flatten all others: it leaves the picture, and stays in the table.
            worst = teacher - 10 * (teacher - float(np.median(values)))
            least = min(value for value in values if value >= worst)
            axis.set_ylim(least - 0.1 * (teacher - least), teacher + 0.1 * (teacher - least))
            axis.grid(alpha=0.3)
        line[0].set_ylabel(f"{what}, test %")
    for data, above, below in zip(sets, axes[0], axes[-1], strict=True):
        above.set_title(data)
        below.set(xlabel="minutes of training", xticks=sorted({row["minutes"] for row in rows}))
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=7, frameon=False)
    figure.savefig(pages.DOCS / "images" / "generators.png", dpi=130)


def kept_of(name: str) -> dict[str, Any]:
    """Return what was measured of a data set: steps a minute by kind, and rows."""
    return pages.read_kept(f"generators-{name}", pace={}, rows=[])


def load_teacher(task: Task, folder: Path) -> Scholar:
    """Return a scholar whose solver learned from the real data; its generator is not used, so hardly trained."""
    if not folder.is_dir():
        learn(task, past=[], settings=settings_of(DEFAULT_GENERATOR, 1)).save(folder)
    return Scholar.load(folder)


def main() -> None:
    parser = pages.argument_parser(__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--kinds", nargs="+", default=list(GENERATORS))
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--minutes", nargs="*", type=float, default=[1, 3, 6])
    parser.add_argument("--pace", action="store_true", help="measure steps a minute, and end")
    parser.add_argument("--out", type=Path, default=Path("runs/generators"))
    options = parser.parse_args()
    parts = {}
    for name in options.sets if options.minutes or options.pace else []:
        kept = kept_of(name)
        pages.check_machine(f"generators-{name}", kept)
        image = Settings().image
        task = open_task(name, data_dir=options.data_dir).resized(image.channels, image.size)
        parts[name] = split_validation(task)
        for kind in options.kinds:
            if kind not in kept["pace"]:
                kept["pace"][kind] = round(pace(kind, parts[name][0]))
                print(f"{name}, {kind}: {kept['pace'][kind]:,} steps a minute", flush=True)
                pages.write_kept(f"generators-{name}", kept)
    if options.pace:
        return
    for minutes in options.minutes:
        for name, (task, validation) in parts.items():
            teacher = load_teacher(task, options.out / name)
            for kind in options.kinds:
                kept = kept_of(name)
                if any((row["kind"], row["minutes"]) == (kind, minutes) for row in kept["rows"]):
                    continue
                found = measure(kind, max(1, round(minutes * kept["pace"][kind])), task, validation, teacher)
                kept["rows"].append({"data": name, "kind": kind, "minutes": minutes, **found})
                print(json.dumps(kept["rows"][-1]), flush=True)
                pages.write_kept(f"generators-{name}", kept)
    write([kept for name in SETS if (kept := kept_of(name))["rows"]])


if __name__ == "__main__":
    main()
