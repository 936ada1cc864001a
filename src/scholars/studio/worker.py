"""The worker process that does one job. Reports to the studio on stdout: one JSON object a line.

Messages: {"stage", "step", "steps"}, {"note"}, and at the end {"error"} or {"generation", "classes"}, the number of
classes that are known now. After a task also {"accuracy", "mean_class_accuracy", "tested", "test_counts"}, the last two
the number of test images, of all classes and of each.
"""

import json
import os
import signal
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from scholars.errors import ScholarsError, pass_on_warnings
from scholars.learning.algebra_folders import forget_classes, merge_into, rename_class
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.lifelong import teach
from scholars.scholar import Scholar
from scholars.settings.registry import load_plugin
from scholars.studio.work import Work
from scholars.tasks.open import open_task
from scholars.training.meter import Tick

_REPORT_SECONDS = 0.2


def main(folder: str, work: str, parent: str, *plugins: str) -> int:
    """Do some work with the scholar in ``folder``; return the exit code.

    The generation before is kept. SIGTERM stops the training, and so does the end of the studio's process.

    work: a `Work`, as JSON
    parent: process id of the studio
    plugins: files or modules that register the scholar's own kinds of networks
    """
    # What plugins print goes to stderr.
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def report(**message: Any) -> None:
        with suppress(BrokenPipeError):  # the studio was killed
            print(json.dumps(message), file=stdout, flush=True)

    terminated: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: terminated.append(number))
    last = 0.0

    def on_tick(position: Position, tick: Tick) -> None:
        nonlocal last
        if tick.step == tick.steps or time.monotonic() - last > _REPORT_SECONDS:
            last = time.monotonic()
            report(stage=tick.stage, step=tick.step, steps=tick.steps)

    warnings.showwarning = pass_on_warnings(lambda text: report(note=text))
    callbacks = Callbacks(
        on_tick=on_tick,
        on_note=lambda position, note: report(note=note),
        stopping=lambda: bool(terminated) or os.getppid() != int(parent),
    )
    try:
        for plugin in plugins:
            load_plugin(plugin)
        outcome = _do(Work.from_json(work), folder, callbacks)
    except (ScholarsError, OSError) as error:
        report(error=str(error))
        return 1
    report(**outcome)
    return 0


def _do(work: Work, folder: str, callbacks: Callbacks) -> dict[str, Any]:
    """Do the work; return what is reported of it."""
    match work.kind:
        case "learn":
            return _teach(work, folder, callbacks)
        case "merge":
            scholar = merge_into(folder, work.source, keep=True, callbacks=callbacks)
        case "forget":
            scholar = forget_classes(folder, work.classes, keep=True, callbacks=callbacks)
        case "rename":
            old, new = work.classes
            scholar = rename_class(folder, old, new, keep=True, callbacks=callbacks)
    return _describe(scholar)


def _teach(work: Work, folder: str, callbacks: Callbacks) -> dict[str, Any]:
    before = Scholar.load(folder)
    image, decode = before.settings.image, before.settings.backbone is None
    task = open_task(
        Path(work.source),
        known=before.classes,
        size=image.size,
        channels=image.channels,
        fit=image.fit,
        decode=decode,
    )
    scholar = teach(folder, replace(task, name=work.name), keep=True, callbacks=callbacks)
    record = scholar.lineage[-1]
    return {
        **_describe(scholar),
        "accuracy": record.accuracy,
        "mean_class_accuracy": record.mean_class_accuracy,
        "tested": record.test_count,
        "test_counts": record.test_counts,
    }


def _describe(scholar: Scholar) -> dict[str, Any]:
    return {"generation": scholar.generation, "classes": len(scholar.classes)}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
