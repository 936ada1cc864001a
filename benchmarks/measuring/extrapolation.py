"""Extrapolate the formulas: a thousand tasks, tasks like ImageNet, 64 GPUs, and what breaks first.

What grows how was read in the code. What is assumed is a constant here, and said on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log2

from measuring.cost_model import DEFAULT_BANK, DEFAULT_STEPS, DEFAULT_WIDTH, DEFAULTS, Cell, Formula, learning_seconds
from measuring.pages import table
from scholars.report.formatting import DASH

GB = 1e9
# The stream of a thousand tasks: test images, training images and new classes of each.
TEST_IMAGES, IMAGES, NEW_CLASSES = 1000, 5000, 2


def default_cell(tasks: int, classes: int = NEW_CLASSES, size: int = DEFAULTS.image.size, images: int = IMAGES) -> Cell:
    """Return a cell of the default networks."""
    return Cell(tasks, classes, images, size, DEFAULT_WIDTH, DEFAULTS.image_solver.batch // 4)


def extrapolation_sections(formulas: Mapping[str, Formula]) -> list[str]:
    """Return the lines of the sections of docs/costs.md."""
    return [*_thousand_tasks(formulas), *_imagenet(formulas), *_gpus()]


@dataclass(frozen=True)
class Growth:
    """Something that grows, or shrinks, with the number of tasks.

    limit: where it is too much (or, if ``falls``, too little); None where it is only shown
    """

    title: str
    unit: str
    of: Callable[[int], float]
    limit: float | None
    plan: str
    falls: bool = False

    def breaks_at(self, max_tasks: int = 100_000) -> int | None:
        """Return the smallest number of tasks at which the limit is passed."""
        if self.limit is None:
            return None
        for tasks in range(1, max_tasks + 1):
            if self.of(tasks) < self.limit if self.falls else self.of(tasks) > self.limit:
                return tasks
        return None


def growths(formulas: Mapping[str, Formula]) -> list[Growth]:
    """Return all that grows in a class-incremental stream, `NEW_CLASSES` a task."""

    def scholar_bytes(tasks: int) -> float:
        cell = default_cell(tasks)
        return sum(formulas[part](cell) for part in ("description", "solver file", "generator file"))

    def all_generations_gb(tasks: int) -> float:
        # Linear in the number of tasks, so that the sum over all generations is that of an arithmetic series.
        return tasks * (scholar_bytes(1) + scholar_bytes(tasks)) / 2 / GB

    def evaluation_hours(tasks: int) -> float:
        # The sum over all tasks is taken from some, evenly spread.
        step = max(1, tasks // 50)
        some = range(step, tasks + 1, step)
        seconds = sum(count * TEST_IMAGES * formulas["evaluate"](default_cell(count)) for count in some)
        return seconds * tasks / len(some) / 3600

    return [
        Growth(
            "new images in a batch of the solver (`replay.ratio=auto`)",
            "",
            lambda tasks: DEFAULTS.image_solver.batch / tasks,
            1,
            "a floor for the ratio, as the generator has one where classes are new, and steps in proportion to what is "
            "known",
            falls=True,
        ),
        Growth(
            "dreams in the bank of each class",
            "",
            lambda tasks: DEFAULT_BANK / (NEW_CLASSES * max(1, tasks - 1)),
            100,
            "`replay.bank` in proportion to the classes, or `replay.dreams=fresh`, whose memory is one batch",
            falls=True,
        ),
        Growth(
            "confusion matrices held while a run evaluates (`run`, a K x K of each task)",
            "GB",
            lambda tasks: tasks * (NEW_CLASSES * tasks) ** 2 * 8 / GB,
            16,
            "keep the rows of the task's own classes only: T times less",
        ),
        Growth(
            "training images held by `run` (all tasks are opened at the start)",
            "GB",
            lambda tasks: tasks * IMAGES * 3 * DEFAULTS.image.size**2 / GB,
            16,
            "open each task when its turn comes, and keep only test parts; `learn`, task by task, holds one",
        ),
        Growth(
            "evaluating every task after every task, in all",
            "hours",
            evaluation_hours,
            24,
            "a sample of the earlier tasks after most tasks, all of them after the last; evaluation by all processes",
        ),
        Growth(
            "learning one task, defaults",
            "min",
            lambda tasks: learning_seconds({key: each(default_cell(tasks)) for key, each in formulas.items()}) / 60,
            None,
            "nearly flat: embeddings, the last layer and labels are all that grow",
        ),
        Growth(
            "a scholar on disk",
            "MB",
            lambda tasks: scholar_bytes(tasks) / 1e6,
            None,
            "the settings of a task, most of scholar.json, written once where they do not change",
        ),
        Growth("all generations of a run on disk", "GB", all_generations_gb, 100, "keep every tenth, or the last few"),
    ]


def _thousand_tasks(formulas: Mapping[str, Formula]) -> list[str]:
    counts = (10, 100, 1000)

    def rows() -> Iterator[Sequence[str]]:
        found = [(growth.breaks_at(), growth) for growth in growths(formulas)]
        for task, growth in sorted(found, key=lambda each: each[0] or float("inf")):
            unit = f" {growth.unit}" if growth.unit else ""
            values = (f"{growth.of(count):,.3g}{unit}" for count in counts)
            limit = DASH if growth.limit is None else f"{growth.limit:g}{unit}"
            yield growth.title, *values, limit, DASH if task is None else f"{task:,}", growth.plan

    heads = f"what | {' | '.join(f'{count:,} tasks' for count in counts)} | limit | passed at task | plan"
    return [
        "## A thousand tasks",
        "",
        f"Default settings; {NEW_CLASSES} new classes, {IMAGES:,} training and {TEST_IMAGES:,} test images a task.",
        "Limits are chosen for a machine like this one.",
        "",
        *table(heads, rows()),
        "The earlier a row, the sooner it breaks. A budget that is the same for every task leaves less and less of it",
        "to each class, long before time, memory or disk run out. Lineage and embeddings are far from any limit.",
        "",
    ]


def _imagenet(formulas: Mapping[str, Formula]) -> list[str]:
    images, classes = 1_281_167, 1000
    batch, steps = DEFAULTS.image_solver.batch, DEFAULT_STEPS

    def rows() -> Iterator[Sequence[object]]:
        for size in (32, 64, 128, 224):
            cell = default_cell(1, classes, size, images)
            step = formulas["solver"](cell)
            yield (
                size,
                f"{images * 3 * size**2 / GB:,.1f} GB",
                f"{step:,.2f} s",
                f"{formulas['generator'](cell):,.2f} s",
                f"{images / batch * step / 3600:,.1f} h",
                f"{formulas['memory'](cell) / 1024:,.1f} GiB",
            )

    heads = (
        "pixels a side | images in memory | a step of the solver | of the generator | an epoch of the solver | "
        "memory to learn"
    )
    return [
        "## Tasks like ImageNet",
        "",
        f"{images:,} images of {classes:,} classes as one task, the default networks and batches, on this machine. An",
        f"epoch is {images // batch:,} steps of the solver; {steps:,} steps see",
        f"{100 * steps * batch / images:.0f} % of the images.",
        "",
        *table(heads, rows()),
        "What breaks first is memory: a task is one array. An image folder is decoded into a memory-mapped file,",
        "which need not fit into memory, but bringing it to another size makes an array of it, and the first process",
        "sends the whole task to every other one by pickle. Next is the budget: so few steps see a part of the data.",
        "The plan: decode to the scholar's own size, open the mapped file in every process instead of sending it, and",
        "give steps in epochs. Networks made for 224 pixels can be brought along (own-networks.md).",
        "",
    ]


# A GPU and a network such as are rented by the hour; bf16, small convolutions.
GPU_FLOPS = 100e12
GPU_SHARE = 0.2
LATENCY, BANDWIDTH = 30e-6, 20e9
HOST_DRAW = 3e9
# Kernels that a step launches, and the seconds of launching one.
KERNELS, LAUNCH = 400, 5e-6
# Of the default solver.
PARAMETERS, NORMS = 290e3, 6


def compute_seconds(processes: int, batch: int, gflop: float) -> float:
    """Return the seconds that one of so many GPUs computes in a step; ``gflop``: of one image, forward and backward."""
    return max(batch / processes * gflop * 1e9 / (GPU_FLOPS * GPU_SHARE), KERNELS * LAUNCH)


def gpu_step_seconds(processes: int, batch: int, size: int, gflop: float) -> float:
    """Return the seconds of a step of the default solver on so many GPUs, by what is assumed."""
    # Every process draws the whole batch, and learns from the first one whether to stop.
    drawing = batch * 3 * size**2 / HOST_DRAW
    # Each batch norm waits for all processes forward and backward.
    waits = (2 * NORMS + 2) * LATENCY * log2(processes)
    sending = 2 * 4 * PARAMETERS / BANDWIDTH if processes > 1 else 0.0
    return compute_seconds(processes, batch, gflop) + drawing + waits + sending


def _gpus() -> list[str]:
    def rows() -> Iterator[Sequence[object]]:
        for batch, size in ((128, 32), (4096, 32), (128, 224), (4096, 224)):
            gflop = solver_gflop(size, DEFAULT_WIDTH)
            steps = [gpu_step_seconds(count, batch, size, gflop) for count in (1, 8, 64)]
            waiting = 1 - compute_seconds(64, batch, gflop) / steps[-1]
            cells = (f"{1e3 * seconds:,.1f} ms" for seconds in steps)
            yield f"{batch:,}", size, *cells, f"{steps[0] / steps[-1]:.1f} x", f"{100 * waiting:.0f} %"

    return [
        "## 64 GPUs",
        "",
        "Nothing of this was measured. Assumed: "
        f"{GPU_FLOPS / 1e12:.0f} TFLOP/s a GPU in bf16, of which such convolutions reach {100 * GPU_SHARE:.0f} %; "
        f"{KERNELS} kernels a step, {1e6 * LAUNCH:.0f} µs each to launch; {1e6 * LATENCY:.0f} µs a collective and "
        f"doubling, {BANDWIDTH / GB:.0f} GB/s between GPUs; {HOST_DRAW / GB:.0f} GB/s to draw and augment, which every "
        f"process does for the whole batch. A step of the default solver, {NORMS} batch norms, each of which waits for "
        "all forward and backward:",
        "",
        *table("batch | pixels | 1 GPU | 8 | 64 | 64 over 1 | waiting and drawing at 64", rows()),
        "So one learning of default size is not for 64 GPUs: its batch is two images each, and launching kernels",
        "and waiting for norms is all that they do. 64 runs of a sweep are. What breaks first for one large learning",
        "is that every process draws the whole batch: the plan is to draw its own rows only, from a position of its",
        "own; then larger batches with fewer steps, and norms over the GPUs of one machine.",
    ]


def solver_gflop(size: int, width: int) -> float:
    """Return the GFLOP of one image, forward and backward, in the CNN; see `scholars.solvers.cnn`."""
    found, channels = 0.0, 3
    for stage in range(3):
        for _ in range(2):
            out = width << stage
            found += 2 * (size >> stage) ** 2 * 9 * channels * out
            channels = out
    return 3 * found / 1e9
