"""The worker process that teaches one task. Reports to the studio on stdout: one JSON object a line.

Messages: {"stage", "step", "steps"}, {"note"}, and at the end {"error"} or {"generation", "accuracy",
"mean_class_accuracy", "tested", "test_counts"}, the last two the number of test images, of all classes and of each.
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
from scholars.learning.callbacks import Callbacks, Position
from scholars.learning.lifelong import teach
from scholars.scholar import Scholar
from scholars.settings.registry import load_plugin
from scholars.tasks.open import open_task
from scholars.training.meter import Tick

_REPORT_SECONDS = 0.2


def main(folder: str, source: str, name: str, parent: str, *plugins: str) -> int:
    """Teach the image folder or archive ``source``, as a task called ``name``, to the scholar in ``folder``.

    Returns the exit code. The generation before is kept. SIGTERM stops the training, and so does the end of the
    studio's process.

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
        before = Scholar.load(folder)
        image, decode = before.settings.image, before.settings.backbone is None
        task = open_task(
            Path(source),
            known=before.classes,
            size=image.size,
            channels=image.channels,
            fit=image.fit,
            decode=decode,
        )
        scholar = teach(folder, replace(task, name=name), keep=True, callbacks=callbacks)
    except (ScholarsError, OSError) as error:
        report(error=str(error))
        return 1
    record = scholar.lineage[-1]
    report(
        generation=scholar.generation,
        accuracy=record.accuracy,
        mean_class_accuracy=record.mean_class_accuracy,
        tested=record.test_count,
        test_counts=record.test_counts,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
