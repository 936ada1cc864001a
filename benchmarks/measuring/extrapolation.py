"""What the formulas say of a thousand tasks, of tasks like ImageNet, and of 64 GPUs, and what breaks first.

What grows how was read in the code. What is assumed is a constant here, and said on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import log2

from measuring.costs import Cell, Fit
from scholars.report.words import DASH
from scholars.settings import Settings

GIB, GB = 2**30, 1e9
DEFAULTS = Settings()
# Test images of each task, training images of each, and new classes of each, in the stream of a thousand.
TESTED, IMAGES, BROUGHT = 1000, 5000, 2


def default(tasks: int, classes: int = BROUGHT, size: int = DEFAULTS.image.size, images: int = IMAGES) -> Cell:
    """A cell of the default networks."""
    return Cell(tasks, classes, images, size, DEFAULTS.solver.width, DEFAULTS.solver.batch // 4)


def extrapolated(fits: Mapping[str, Fit]) -> Iterator[str]:
    """The sections of the page."""
    yield from _tasks(fits)
    yield from _imagenet(fits)
    yield from _gpus()


def learning_seconds(each: Mapping[str, float]) -> float:
    """Learning a task with the default numbers of steps and dreams, by the seconds of each; no audit, no evaluation."""
    return (
        DEFAULTS.solver.steps * each["solver"]
        + DEFAULTS.generator.chosen.steps * each["generator"]
        + DEFAULTS.replay.bank * each["dream"]
    )


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

    def breaks_at(self, most: int = 100_000) -> int | None:
        """The smallest number of tasks at which the limit is passed."""
        if self.limit is None:
            return None
        for tasks in range(1, most + 1):
            if self.of(tasks) < self.limit if self.falls else self.of(tasks) > self.limit:
                return tasks
        return None


def growths(fits: Mapping[str, Fit]) -> list[Growth]:
    """All that grows in a class-incremental stream, `BROUGHT` new classes a task."""

    def scholar(tasks: int) -> float:
        cell = default(tasks)
        return sum(fits[part](cell) for part in ("description", "solver file", "generator file"))

    def kept(tasks: int) -> float:
        # Linear in the number of tasks, so that the sum over all generations is that of an arithmetic series.
        return tasks * (scholar(1) + scholar(tasks)) / 2 / GB

    size = DEFAULTS.image.size
    return [
        Growth(
            "new images in a batch of the solver (`replay.ratio=auto`)",
            "",
            lambda tasks: DEFAULTS.solver.batch / tasks,
            1,
            "a floor for the ratio, as the generator has one where classes are new, and steps in proportion to what is "
            "known",
            falls=True,
        ),
        Growth(
            "dreams in the bank of each class",
            "",
            lambda tasks: DEFAULTS.replay.bank / (BROUGHT * max(1, tasks - 1)),
            100,
            "`replay.bank` in proportion to the classes, or `replay.dreams=fresh`, whose memory is one batch",
            falls=True,
        ),
        Growth(
            "confusion matrices held while a run evaluates (`run`, a K x K of each task)",
            "GB",
            lambda tasks: tasks * (BROUGHT * tasks) ** 2 * 8 / GB,
            16,
            "keep the rows of the task's own classes only: T times less",
        ),
        Growth(
            "training images held by `run` (all tasks are opened at the start)",
            "GB",
            lambda tasks: tasks * IMAGES * 3 * size**2 / GB,
            16,
            "open each task when its turn comes, and keep only test parts; `learn`, task by task, holds one",
        ),
        Growth(
            "evaluating every task after every task, in all",
            "hours",
            lambda tasks: (
                sum(t * TESTED * fits["evaluate"](default(t)) for t in _grid(tasks)) * tasks / len(_grid(tasks)) / 3600
            ),
            24,
            "a sample of the earlier tasks after most tasks, all of them after the last; evaluation by all processes",
        ),
        Growth(
            "learning one task, defaults",
            "min",
            lambda tasks: learning_seconds({key: fit(default(tasks)) for key, fit in fits.items()}) / 60,
            None,
            "nearly flat: embeddings, the last layer and labels are all that grow",
        ),
        Growth(
            "a scholar on disk",
            "MB",
            lambda tasks: scholar(tasks) / 1e6,
            None,
            "the settings of a task, most of scholar.json, written once where they do not change",
        ),
        Growth("all generations of a run on disk", "GB", kept, 100, "keep every tenth, or the last few"),
    ]


def _grid(tasks: int) -> list[int]:
    """Some of 1..tasks, evenly spread: a sum over all is taken from these."""
    step = max(1, tasks // 50)
    return list(range(step, tasks + 1, step))


def _tasks(fits: Mapping[str, Fit]) -> Iterator[str]:
    counts = (10, 100, 1000)
    yield from (
        "## A thousand tasks",
        "",
        f"Default settings; {BROUGHT} new classes, {IMAGES:,} training and {TESTED:,} test images in each task.",
        "Limits are chosen for a machine like this one.",
        "",
        "| what | " + " | ".join(f"{count:,} tasks" for count in counts) + " | limit | passed at task | plan |",
        "|---|" + "---|" * (len(counts) + 3),
    )
    found = growths(fits)
    order = {growth.title: growth.breaks_at() for growth in found}
    for growth in sorted(found, key=lambda one: order[one.title] or float("inf")):
        unit = f" {growth.unit}" if growth.unit else ""
        values = " | ".join(f"{growth.of(count):,.3g}{unit}" for count in counts)
        at = order[growth.title]
        limit = DASH if growth.limit is None else f"{growth.limit:g}{unit}"
        yield f"| {growth.title} | {values} | {limit} | {DASH if at is None else f'{at:,}'} | {growth.plan} |"
    yield from (
        "",
        "The earlier a row, the sooner it breaks. A budget that is the same for every task leaves less and less of it",
        "to each class, long before time, memory or disk run out. Lineage and embeddings are far from any limit.",
        "",
    )


def _imagenet(fits: Mapping[str, Fit]) -> Iterator[str]:
    images, classes = 1_281_167, 1000
    batch = DEFAULTS.solver.batch
    yield from (
        "## Tasks like ImageNet",
        "",
        f"{images:,} images of {classes:,} classes as one task, the default networks and batches, on this machine. An",
        f"epoch is {images // batch:,} steps of the solver; the default {DEFAULTS.solver.steps:,} steps see",
        f"{100 * DEFAULTS.solver.steps * batch / images:.0f} % of the images.",
        "",
        "| pixels a side | images in memory | a step of the solver | of the generator | an epoch of the solver | "
        "memory to learn |",
        "|---|---|---|---|---|---|",
    )
    for size in (32, 64, 128, 224):
        cell = default(1, classes, size, images)
        step = fits["solver"](cell)
        yield (
            f"| {size} | {images * 3 * size**2 / GB:,.1f} GB | {step:,.2f} s | {fits['generator'](cell):,.2f} s | "
            f"{images / batch * step / 3600:,.1f} h | {fits['memory'](cell) / 1024:,.1f} GiB |"
        )
    yield from (
        "",
        "What breaks first is memory: a task is one array. An image folder is decoded into a memory-mapped file,",
        "which need not fit into memory, but bringing it to another size makes an array of it, and the first process",
        "sends the whole task to every other one by pickle. Next is the budget: so few steps see a part of the data.",
        "The plan: decode to the scholar's own size, open the mapped file in every process instead of sending it, and",
        "give steps in epochs. Networks made for 224 pixels can be brought along (own-networks.md).",
        "",
    )


# A GPU and a network such as are rented by the hour; bf16, small convolutions.
GPU_FLOPS = 100e12
GPU_SHARE = 0.2
LATENCY, BANDWIDTH = 30e-6, 20e9
HOST_DRAW = 3e9
# Kernels that a step launches, and the seconds of launching one.
KERNELS, LAUNCH = 400, 5e-6
# Of the default solver.
PARAMETERS, NORMS = 290e3, 6


def gpu_step(processes: int, batch: int, size: int, gflop: float, parameters: float, norms: int) -> float:
    """Seconds of a step of the solver on so many GPUs, by what is assumed.

    gflop: of one image, forward and backward; norms: batch norms, each of which waits for all twice
    """
    compute = batch / processes * gflop * 1e9 / (GPU_FLOPS * GPU_SHARE)
    # Every process draws the whole batch, and asks the first one whether to stop.
    drawing = batch * 3 * size**2 / HOST_DRAW
    if processes == 1:
        return max(compute, KERNELS * LAUNCH) + drawing
    waits = (2 * norms + 2) * LATENCY * log2(processes)
    sent = 2 * 4 * parameters / BANDWIDTH
    return max(compute, KERNELS * LAUNCH) + drawing + waits + sent


def _gpus() -> Iterator[str]:
    width = DEFAULTS.solver.width
    yield from (
        "## 64 GPUs",
        "",
        "Nothing of this was measured. Assumed: "
        f"{GPU_FLOPS / 1e12:.0f} TFLOP/s a GPU in bf16, of which such convolutions reach {100 * GPU_SHARE:.0f} %; "
        f"{KERNELS} kernels a step, {1e6 * LAUNCH:.0f} µs each to launch; {1e6 * LATENCY:.0f} µs a collective and "
        f"doubling, {BANDWIDTH / GB:.0f} GB/s between GPUs; {HOST_DRAW / GB:.0f} GB/s to draw and augment, which every "
        "process does for the whole batch. A step of the default solver, 6 batch norms, each of which waits for all "
        "forward and backward:",
        "",
        "| batch | pixels | 1 GPU | 8 | 64 | 64 over 1 | waiting and drawing at 64 |",
        "|---|---|---|---|---|---|---|",
    )
    for batch, size in ((128, 32), (4096, 32), (128, 224), (4096, 224)):
        gflop = solver_gflop(size, width)
        steps = {count: gpu_step(count, batch, size, gflop, PARAMETERS, NORMS) for count in (1, 8, 64)}
        compute = max(batch / 64 * gflop * 1e9 / (GPU_FLOPS * GPU_SHARE), KERNELS * LAUNCH)
        cells = " | ".join(f"{1e3 * seconds:,.1f} ms" for seconds in steps.values())
        yield (
            f"| {batch:,} | {size} | {cells} | {steps[1] / steps[64]:.1f} x | {100 * (1 - compute / steps[64]):.0f} % |"
        )
    yield from (
        "",
        "So one learning of default size is not for 64 GPUs: its batch is two images each, and launching kernels",
        "and waiting for norms is all that they do. 64 runs of a sweep are. What breaks first for one large learning",
        "is that every process draws the whole batch: the plan is to draw its own rows only, from a position of its",
        "own; then larger batches with fewer steps, and norms over the GPUs of one machine.",
    )


def solver_gflop(size: int, width: int) -> float:
    """Forward and backward of one image by the CNN, 10^9 operations; see `scholars.solvers.cnn`."""
    found, channels = 0.0, 3
    for stage in range(3):
        for _ in range(2):
            out = width << stage
            found += 2 * (size >> stage) ** 2 * 9 * channels * out
            channels = out
    return 3 * found / 1e9
